// Package delivery decides which Plan a pod runs on. Plans come from a folder (a volume that the kubelet fills, late
// but without any server), from the API server (within a second), and from the pod's own memory of the last good one.
// The newest valid one wins; one that is broken, empty or suddenly shrunken is refused and the last good one stays.
package delivery

import (
	"errors"
	"fmt"
	"sync"

	"github.com/go-logr/logr"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/millrace/millrace/internal/contract"
	"github.com/millrace/millrace/internal/contract/bundle"
	"github.com/millrace/millrace/internal/contract/plan"
)

// Source is where a Plan came from.
type Source string

// The sources.
const (
	Volume Source = "volume"
	API    Source = "api"
	Memory Source = "memory"
)

// Secrets is the data of a Plan's Secrets, in order.
type Secrets = []map[string][]byte

var (
	errOtherPool = errors.New("the plan is for another pool")
	// errOlder: the folder shows a Plan that was replaced already; the kubelet is late.
	errOlder = errors.New("the plan was replaced already")
)

// Options make a Receiver. Current, Class and Role are needed.
type Options struct {
	Current  *plan.Current
	Class    string
	Role     contract.Role
	StateDir string // for the last good Plan; empty: it is not kept
	Log      logr.Logger
	Metrics  prometheus.Registerer

	// Addresses is called with the media addresses of this pool's pods, by name, whenever they were delivered.
	Addresses func(map[string]bundle.Address)
}

// Receiver takes Plans and stores the good ones in Current. It is safe for concurrent use.
type Receiver struct {
	opt     Options
	metrics *metrics

	mu       sync.Mutex
	hash     string   // of the Plan that holds; empty: none yet
	replaced []string // hashes of Plans that were replaced, oldest first
	said     string   // the refusal that was logged last
}

// maxReplaced is how many replaced Plans are remembered.
const maxReplaced = 256

// New makes a Receiver that has no Plan yet.
func New(opt Options) (*Receiver, error) {
	r := &Receiver{opt: opt}
	m, err := newMetrics(opt.Metrics, r)
	if err != nil {
		return nil, err
	}
	r.metrics = m
	return r, nil
}

// Hash names the Plan that holds; empty while there is none.
func (r *Receiver) Hash() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.hash
}

// Offer takes a Plan from a source. The error says why it is not taken; the one that held goes on.
func (r *Receiver) Offer(from Source, secrets Secrets) error {
	b, err := bundle.Decode(secrets)
	if err != nil {
		return r.refuse(from, "broken", "", fmt.Errorf("reading the plan: %w", err))
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if b.Meta.Class != r.opt.Class || b.Meta.Role != r.opt.Role {
		return r.refuseLocked(
			from,
			"other pool",
			b.Meta.Hash,
			fmt.Errorf("%w: %.64s-%.64s, not %s-%s", errOtherPool, b.Meta.Class, b.Meta.Role, r.opt.Class, r.opt.Role),
		)
	}
	if b.Meta.Hash == r.hash {
		r.told(from, b)
		return nil
	}
	if from != API && r.wasReplaced(b.Meta.Hash) {
		return errOlder
	}
	if err := r.acceptable(b); err != nil {
		return r.refuseLocked(from, reason(err), b.Meta.Hash, err)
	}
	r.apply(from, b)
	r.told(from, b)
	if from != Memory {
		r.save(secrets[:b.Meta.Chunks])
	}
	return nil
}

// acceptable holds a Plan against the one that holds.
func (r *Receiver) acceptable(b *bundle.Bundle) error {
	if r.hash == "" {
		return plan.Acceptable(nil, b.Plan)
	}
	err := plan.Acceptable(r.opt.Current.Load().Plan, b.Plan)
	if b.Meta.AllowShrink && (errors.Is(err, plan.ErrEmpty) || errors.Is(err, plan.ErrShrunken)) {
		return nil
	}
	return err
}

func reason(err error) string {
	switch {
	case errors.Is(err, plan.ErrEmpty):
		return "empty"
	case errors.Is(err, plan.ErrShrunken):
		return "shrunken"
	}
	return "invalid"
}

// apply makes a Plan the one that holds; what changes for whom is logged, without secrets.
func (r *Receiver) apply(from Source, b *bundle.Bundle) {
	old := r.opt.Current.Load()
	next := plan.NewIndex(b.Plan)
	r.opt.Current.Store(next)
	if r.hash != "" {
		r.replaced = append(r.replaced, r.hash)
		r.replaced = r.replaced[max(len(r.replaced)-maxReplaced, 0):]
	}
	for i, h := range r.replaced {
		if h == b.Meta.Hash { // an earlier Plan has come back
			r.replaced = append(r.replaced[:i:i], r.replaced[i+1:]...)
			break
		}
	}
	r.hash, r.said = b.Meta.Hash, ""
	r.metrics.applied.WithLabelValues(string(from)).Inc()
	d := plan.Diff(old.Plan, b.Plan)
	r.opt.Log.Info(
		"Applied a plan",
		"hash",
		r.hash,
		"from",
		string(from),
		"changes",
		len(d.Changes),
		"domains",
		len(b.Plan.Push)+len(b.Plan.Play),
	)
	for i, c := range d.Changes {
		if i >= 20 {
			break
		}
		r.opt.Log.V(1).Info("Plan changed", "change", c.String())
	}
}

// told passes the addresses on that came with a Plan. The kubelet's and the pod's own are used only while nothing newer
// is known.
func (r *Receiver) told(from Source, b *bundle.Bundle) {
	if r.opt.Addresses != nil && b.Addresses != nil && (from == API || !r.metrics.apiSeen.Load()) {
		r.opt.Addresses(b.Addresses)
	}
	if from == API {
		r.metrics.apiSeen.Store(true)
	}
}

func (r *Receiver) wasReplaced(hash string) bool {
	for _, h := range r.replaced {
		if h == hash {
			return true
		}
	}
	return false
}

func (r *Receiver) refuse(from Source, why, hash string, err error) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.refuseLocked(from, why, hash, err)
}

// refuseLocked says a refusal once; a source offers the same again and again.
func (r *Receiver) refuseLocked(from Source, why, hash string, err error) error {
	r.metrics.refused.WithLabelValues(why).Inc()
	if text := string(from) + hash + err.Error(); r.said != text {
		r.said = text
		r.opt.Log.Error(err, "Refused a plan and kept the last good one", "from", string(from), "hash", hash, "kept", r.hash)
	}
	return err
}
