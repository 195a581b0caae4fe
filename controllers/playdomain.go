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

// +kubebuilder:rbac:groups=live.millrace.dev,resources=playdomains,verbs=get;list;watch;patch
// +kubebuilder:rbac:groups=live.millrace.dev,resources=playdomains/status,verbs=patch

// playDomains reconciles PlayDomains.
type playDomains struct{ *core }

// Reconcile claims the hostname of a play domain, reports on it, and releases the hostname in the end.
func (r playDomains) Reconcile(ctx context.Context, req ctrl.Request) (ctrl.Result, error) {
	var o v1alpha1.PlayDomain
	if err := r.client.Get(ctx, req.NamespacedName, &o); err != nil {
		return ctrl.Result{}, client.IgnoreNotFound(err)
	}
	hostname := string(o.Spec.Hostname)
	owner := owner{object: &o, kind: v1alpha1.KindPlayDomain, hostname: hostname, entry: fleet.PlayEntry(hostname)}
	if o.DeletionTimestamp != nil {
		return r.release(ctx, owner)
	}
	d := r.board.Result().Decision(v1alpha1.KindPlayDomain, &o)
	if d == nil {
		return ctrl.Result{}, nil
	}
	if d.WantsClaim {
		return r.claim(ctx, owner)
	}
	pool := fleet.PoolKey{Class: d.Class, Role: playRole(o.Spec.Type)}
	if r.early(d.Accepted, pool) {
		return ctrl.Result{RequeueAfter: again}, nil
	}
	counts := r.Observer.Play(hostname)
	serving := r.serving(pool, owner.entry)
	want, wait := status.PlayDomain(&o, &d.Verdict, serving, counts.Viewers, counts.EgressKbps, r.Now())
	calm := want
	calm.Viewers, calm.EgressMbps = o.Status.Viewers, o.Status.EgressMbps
	return r.report(ctx, &o, &o.Status, &want, &calm, wait)
}

// playRole is the role of the pods that serve a type of play domain.
func playRole(t v1alpha1.PlayType) contract.Role {
	if t == v1alpha1.PlayRTS {
		return contract.Relay
	}
	return contract.Edge
}
