package controllers

import (
	"context"

	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/millrace/millrace/api/v1alpha1"
	"github.com/millrace/millrace/controllers/fleet"
	"github.com/millrace/millrace/controllers/status"
	"github.com/millrace/millrace/internal/contract"
)

// +kubebuilder:rbac:groups=live.millrace.dev,resources=pushdomains,verbs=get;list;watch;patch
// +kubebuilder:rbac:groups=live.millrace.dev,resources=pushdomains/status,verbs=patch

// pushDomains reconciles PushDomains.
type pushDomains struct{ *core }

// Reconcile claims the hostname of a push domain, reports on it, and releases the hostname in the end.
func (r pushDomains) Reconcile(ctx context.Context, req ctrl.Request) (ctrl.Result, error) {
	var o v1alpha1.PushDomain
	if err := r.client.Get(ctx, req.NamespacedName, &o); err != nil {
		return ctrl.Result{}, client.IgnoreNotFound(err)
	}
	hostname := string(o.Spec.Hostname)
	owner := owner{object: &o, kind: v1alpha1.KindPushDomain, hostname: hostname, entry: fleet.PushEntry(hostname)}
	if o.DeletionTimestamp != nil {
		return r.release(ctx, owner)
	}
	d := r.board.Result().Decision(v1alpha1.KindPushDomain, &o)
	if d == nil {
		return ctrl.Result{}, nil
	}
	if d.WantsClaim {
		return r.claim(ctx, owner)
	}
	pool := fleet.PoolKey{Class: d.Class, Role: contract.Ingest}
	if r.early(d.Accepted, pool) {
		return ctrl.Result{RequeueAfter: again}, nil
	}
	serving := r.serving(pool, owner.entry)
	want, wait := status.PushDomain(&o, &d.Verdict, serving, r.Observer.Push(hostname).Streams, r.Now())
	calm := want
	calm.Streams = o.Status.Streams
	return r.report(ctx, &o, &o.Status, &want, &calm, wait)
}
