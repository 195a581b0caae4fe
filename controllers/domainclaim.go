package controllers

import (
	"context"
	"fmt"
	"sync"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/types"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/log"

	"github.com/millrace/millrace/api/v1alpha1"
	"github.com/millrace/millrace/controllers/fleet"
	"github.com/millrace/millrace/controllers/status"
)

// +kubebuilder:rbac:groups=live.millrace.dev,resources=domainclaims,verbs=get;list;watch;create;update;delete
// +kubebuilder:rbac:groups=live.millrace.dev,resources=domainclaims/status,verbs=patch

// domainClaims reconciles DomainClaims: it reports who has them, and frees those whose owner is gone.
type domainClaims struct {
	*core
	mu    sync.Mutex
	stale map[types.UID]time.Time // since when a claim has no owner
}

// Reconcile reports who has a hostname.
func (r *domainClaims) Reconcile(ctx context.Context, req ctrl.Request) (ctrl.Result, error) {
	var o v1alpha1.DomainClaim
	if err := r.client.Get(ctx, req.NamespacedName, &o); err != nil {
		return ctrl.Result{}, client.IgnoreNotFound(err)
	}
	d := r.board.Result().Decision(v1alpha1.KindDomainClaim, &o)
	if d == nil || o.DeletionTimestamp != nil {
		return ctrl.Result{}, nil
	}
	if d.Reason == v1alpha1.ReasonOwnerGone {
		if wait, err := r.freeStale(ctx, &o); err != nil || wait > 0 {
			return ctrl.Result{RequeueAfter: wait}, err
		}
	} else {
		r.since(o.UID, false)
	}
	want := status.DomainClaim(&o, &d.Verdict, r.Now())
	return r.report(ctx, &o, &o.Status, &want, &want, 0)
}

// freeStale frees a claim whose owner is gone for certain: the cache says so, the API server says so, and no pod serves
// the hostname. It gives the time after which to look again; 0: the owner is there.
func (r *domainClaims) freeStale(ctx context.Context, claim *v1alpha1.DomainClaim) (time.Duration, error) {
	ref := claim.Spec.ClaimRef
	gone, err := r.gone(ctx, ref)
	if err != nil || !gone {
		r.since(claim.UID, false)
		return 0, err
	}
	dropped := r.fleet.DroppedEverywhere(fleet.PushEntry(claim.Name)) &&
		r.fleet.DroppedEverywhere(fleet.PlayEntry(claim.Name))
	if !dropped && r.Now().Before(r.since(claim.UID, true).Add(releaseAfter())) {
		return again, nil
	}
	if err := r.free(ctx, claim); err != nil {
		if apierrors.IsConflict(err) {
			return again, nil
		}
		return 0, err
	}
	r.since(claim.UID, false)
	log.FromContext(ctx).Info("Released a hostname whose owner is gone", "hostname", claim.Name)
	return 0, nil
}

// gone reads live whether the owner of a claim does not exist any more: an object of the same name is another one when
// its UID is.
func (r *domainClaims) gone(ctx context.Context, ref *v1alpha1.ClaimReference) (bool, error) {
	var o client.Object = &v1alpha1.PushDomain{}
	if ref.Kind == v1alpha1.KindPlayDomain {
		o = &v1alpha1.PlayDomain{}
	}
	err := r.live.Get(ctx, client.ObjectKey{Namespace: ref.Namespace, Name: ref.Name}, o)
	if apierrors.IsNotFound(err) {
		return true, nil
	}
	if err != nil {
		return false, fmt.Errorf("read the owner of a claim, %s %s/%s: %w", ref.Kind, ref.Namespace, ref.Name, err)
	}
	return ref.UID != "" && string(o.GetUID()) != ref.UID, nil
}

// since notes since when a claim is stale, or that it is not.
func (r *domainClaims) since(uid types.UID, stale bool) time.Time {
	r.mu.Lock()
	defer r.mu.Unlock()
	if !stale {
		delete(r.stale, uid)
		return time.Time{}
	}
	if _, known := r.stale[uid]; !known {
		r.stale[uid] = r.Now()
	}
	return r.stale[uid]
}
