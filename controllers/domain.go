package controllers

import (
	"context"
	"time"

	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/millrace/millrace/api/v1alpha1"
	"github.com/millrace/millrace/controllers/board"
	"github.com/millrace/millrace/controllers/fleet"
	"github.com/millrace/millrace/controllers/status"
	"github.com/millrace/millrace/internal/contract"
)

// +kubebuilder:rbac:groups=live.millrace.dev,resources=pushdomains;playdomains,verbs=get;list;watch;patch
// +kubebuilder:rbac:groups=live.millrace.dev,resources=pushdomains/status;playdomains/status,verbs=patch

// domains reconciles the domains of one kind: T is PushDomain or PlayDomain.
type domains[T any, P interface {
	*T
	client.Object
}] struct {
	*core
	kind     string
	hostname func(P) string
	entry    func(hostname string) string // the name of its part of the Plan
	// status returns the status that there is, the one that is wanted, that one with the old counts, and when to look
	// again.
	status func(o P, d *board.Decision, s status.Serving) (was, want, calm any, wait time.Duration)
}

// Reconcile claims the hostname of a domain, reports on it, and releases the hostname in the end.
func (r domains[T, P]) Reconcile(ctx context.Context, req ctrl.Request) (ctrl.Result, error) {
	o := P(new(T))
	if err := r.client.Get(ctx, req.NamespacedName, o); err != nil {
		return ctrl.Result{}, client.IgnoreNotFound(err)
	}
	hostname := r.hostname(o)
	owner := owner{object: o, kind: r.kind, hostname: hostname, entry: r.entry(hostname)}
	if o.GetDeletionTimestamp() != nil {
		return r.release(ctx, owner)
	}
	d := r.board.Result().Decision(r.kind, o)
	if d == nil {
		return ctrl.Result{}, nil
	}
	if d.WantsClaim {
		return r.claim(ctx, owner)
	}
	pool, _ := poolOf(d)
	if r.early(d.Accepted, pool) {
		return ctrl.Result{RequeueAfter: again}, nil
	}
	was, want, calm, wait := r.status(o, d, r.servingDomain(d))
	return r.report(ctx, o, was, want, calm, wait)
}

func pushDomains(c *core) domains[v1alpha1.PushDomain, *v1alpha1.PushDomain] {
	return domains[v1alpha1.PushDomain, *v1alpha1.PushDomain]{
		core: c, kind: v1alpha1.KindPushDomain, entry: fleet.PushEntry,
		hostname: func(o *v1alpha1.PushDomain) string { return string(o.Spec.Hostname) },
		status: func(o *v1alpha1.PushDomain, d *board.Decision, s status.Serving) (any, any, any, time.Duration) {
			want, wait := status.PushDomain(o, &d.Verdict, s, c.Observer.Push(d.Hostname).Streams, c.Now())
			calm := want
			calm.Streams = o.Status.Streams
			return &o.Status, &want, &calm, wait
		},
	}
}

func playDomains(c *core) domains[v1alpha1.PlayDomain, *v1alpha1.PlayDomain] {
	return domains[v1alpha1.PlayDomain, *v1alpha1.PlayDomain]{
		core: c, kind: v1alpha1.KindPlayDomain, entry: fleet.PlayEntry,
		hostname: func(o *v1alpha1.PlayDomain) string { return string(o.Spec.Hostname) },
		status: func(o *v1alpha1.PlayDomain, d *board.Decision, s status.Serving) (any, any, any, time.Duration) {
			counts := c.Observer.Play(d.Hostname)
			want, wait := status.PlayDomain(o, &d.Verdict, s, counts.Viewers, counts.EgressKbps, c.Now())
			calm := want
			calm.Viewers, calm.EgressMbps = o.Status.Viewers, o.Status.EgressMbps
			return &o.Status, &want, &calm, wait
		},
	}
}

// servingDomain gathers what the pods of a domain do about it. One that was left out of the Plan is served by none.
func (c *core) servingDomain(d *board.Decision) status.Serving {
	pool, entry := poolOf(d)
	s := c.serving(pool, entry)
	leftOut(&s, d)
	return s
}

// leftOut notes in what pods do about an object that it was left out of the Plan.
func leftOut(s *status.Serving, d *board.Decision) {
	if d.LeftOut != "" {
		s.Problem = &status.Problem{Reason: v1alpha1.ReasonPlanTooLarge, Message: d.LeftOut}
	}
}

// poolOf says which pods serve a domain, and as which part of their Plan.
func poolOf(d *board.Decision) (fleet.PoolKey, string) {
	if d.Kind == v1alpha1.KindPushDomain {
		return fleet.PoolKey{Class: d.Class, Role: contract.Ingest}, fleet.PushEntry(d.Hostname)
	}
	return fleet.PoolKey{Class: d.Class, Role: playRole(v1alpha1.PlayType(d.Type))}, fleet.PlayEntry(d.Hostname)
}

// playRole is the role of the pods that serve a type of play domain.
func playRole(t v1alpha1.PlayType) contract.Role {
	if t == v1alpha1.PlayRTS {
		return contract.Relay
	}
	return contract.Edge
}
