package controllers

import (
	"context"
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/apimachinery/pkg/types"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/millrace/millrace/controllers/apply"
	"github.com/millrace/millrace/controllers/board"
	"github.com/millrace/millrace/controllers/fleet"
	"github.com/millrace/millrace/controllers/status"
)

// core is what all reconcilers share.
type core struct {
	Options
	client client.Client // reads from caches
	live   client.Reader // reads from the API server: where ownership is decided
	// metadata reads that of Secrets from the cache, which has nothing else of them.
	metadata client.Reader
	board    *board.Board
	fleet    *fleet.Fleet

	mu      sync.Mutex
	counted map[types.UID]time.Time // when the counts of an object were last written
}

// serving gathers what the pods of a pool do about a part of their Plan.
func (c *core) serving(k fleet.PoolKey, entry string) status.Serving {
	progress, facts := c.fleet.Progress(k, entry), c.fleet.Facts(k)
	s := status.Serving{Done: progress.Done, Of: progress.Of, Known: progress.Known, Endpoints: facts.Endpoints}
	switch {
	case facts.Reason != "":
		s.Problem = &status.Problem{Reason: facts.Reason, Message: facts.Message}
	case facts.PlanReason != "":
		s.Problem = &status.Problem{Reason: facts.PlanReason, Message: facts.PlanMessage}
	}
	return s
}

// early reports whether it is too early to report on something accepted: after a start of the operator the pools have
// to be looked at first, or what is known of them would go from the status and come back. Whoever asks has to ask
// again.
func (c *core) early(accepted bool, k fleet.PoolKey) bool {
	return accepted && !c.fleet.Facts(k).Visited
}

// report writes a status when it differs. When it differs in counts only, it may have to wait.
func (c *core) report(
	ctx context.Context,
	o client.Object,
	was, now, nowWithOldCounts any,
	wait time.Duration,
) (ctrl.Result, error) {
	onlyCounts := equality.Semantic.DeepEqual(was, nowWithOldCounts) && !equality.Semantic.DeepEqual(was, now)
	if onlyCounts {
		c.mu.Lock()
		left := c.counted[o.GetUID()].Add(c.CountsEvery).Sub(c.Now())
		c.mu.Unlock()
		if left > 0 {
			return ctrl.Result{RequeueAfter: left}, nil
		}
	}
	if _, err := apply.Status(ctx, c.client, o, was, now); err != nil {
		return ctrl.Result{}, client.IgnoreNotFound(err)
	}
	if onlyCounts {
		c.mu.Lock()
		c.counted[o.GetUID()] = c.Now()
		c.mu.Unlock()
	}
	return ctrl.Result{RequeueAfter: wait}, nil
}

// forget drops what is kept about an object that is gone.
func (c *core) forget(uid types.UID) {
	c.mu.Lock()
	delete(c.counted, uid)
	c.mu.Unlock()
}
