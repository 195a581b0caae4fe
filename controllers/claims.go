package controllers

import (
	"context"
	"fmt"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller/controllerutil"
	"sigs.k8s.io/controller-runtime/pkg/log"

	"github.com/millrace/millrace/api/v1alpha1"
	"github.com/millrace/millrace/controllers/apply"
	"github.com/millrace/millrace/internal/contract"
)

// Finalizer of domains that have claimed their hostname: it stays until the pods have dropped the domain and the claim
// is released.
const Finalizer = "live.millrace.dev/claim"

// again is when to look again for something that nobody tells about.
const again = 500 * time.Millisecond

// owner is a domain as its claim sees it.
type owner struct {
	object   client.Object
	kind     string
	hostname string
	entry    string // the domain's part of the Plan
}

func (o *owner) reference() *v1alpha1.ClaimReference {
	return &v1alpha1.ClaimReference{
		Kind:      o.kind,
		Namespace: o.object.GetNamespace(),
		Name:      o.object.GetName(),
		UID:       string(o.object.GetUID()),
	}
}

// holds reports whether a claim names this very domain.
func (o *owner) holds(claim *v1alpha1.DomainClaim) bool {
	return claim.Spec.ClaimRef != nil && *claim.Spec.ClaimRef == *o.reference()
}

// claim takes the hostname of a domain. To create the claim is the lock: of many who try, one succeeds. What comes of
// it, the board says when it has seen the claim.
func (c *core) claim(ctx context.Context, o owner) (ctrl.Result, error) {
	if err := c.finalizer(ctx, o.object, controllerutil.AddFinalizer); err != nil {
		return ctrl.Result{}, err
	}
	claim := &v1alpha1.DomainClaim{
		ObjectMeta: metav1.ObjectMeta{
			Name:   o.hostname,
			Labels: map[string]string{contract.LabelManagedBy: contract.ManagedBy},
		},
		Spec: v1alpha1.DomainClaimSpec{Namespace: o.object.GetNamespace(), ClaimRef: o.reference()},
	}
	err := c.client.Create(ctx, claim, apply.FieldOwner)
	if err == nil {
		log.FromContext(ctx).V(1).Info("Claimed the hostname", "hostname", o.hostname)
		return ctrl.Result{}, nil
	}
	if !apierrors.IsAlreadyExists(err) {
		return ctrl.Result{}, fmt.Errorf("create DomainClaim %s: %w", o.hostname, err)
	}
	if err := c.live.Get(ctx, client.ObjectKeyFromObject(claim), claim); err != nil {
		return ctrl.Result{}, client.IgnoreNotFound(err)
	}
	r := claim.Spec.ClaimRef
	mine := o.reference()
	free := r == nil || r.UID == "" && r.Kind == mine.Kind && r.Name == mine.Name
	if claim.Spec.Namespace != mine.Namespace || !free {
		return ctrl.Result{}, nil // somebody else was faster; the board will see it
	}
	// An admin made the claim ahead for this namespace. The update carries the resourceVersion that was read: one
	// succeeds.
	claim.Spec.ClaimRef = mine
	err = c.client.Update(ctx, claim, apply.FieldOwner)
	switch {
	case err == nil:
		return ctrl.Result{}, nil
	case apierrors.IsConflict(err):
		return ctrl.Result{RequeueAfter: again}, nil
	}
	return ctrl.Result{}, fmt.Errorf("bind DomainClaim %s: %w", o.hostname, err)
}

// release returns the hostname of a domain that is being deleted free, when no pod serves it any more, and lets the
// domain go.
func (c *core) release(ctx context.Context, o owner) (ctrl.Result, error) {
	if !controllerutil.ContainsFinalizer(o.object, Finalizer) {
		return ctrl.Result{}, nil
	}
	claim := &v1alpha1.DomainClaim{}
	err := c.live.Get(ctx, client.ObjectKey{Name: o.hostname}, claim)
	if client.IgnoreNotFound(err) != nil {
		return ctrl.Result{}, fmt.Errorf("read DomainClaim %s: %w", o.hostname, err)
	}
	if err == nil && o.holds(claim) {
		decided := c.board.Result().Decision(o.kind, o.object)
		if decided == nil {
			return ctrl.Result{RequeueAfter: again}, nil // not yet seen as deleted
		}
		if !c.fleet.DroppedEverywhere(o.entry) && c.Now().Before(o.object.GetDeletionTimestamp().Add(releaseAfter())) {
			return ctrl.Result{RequeueAfter: again}, nil
		}
		if err := c.free(ctx, claim); err != nil {
			return ctrl.Result{}, err
		}
		log.FromContext(ctx).V(1).Info("Released the hostname", "hostname", o.hostname)
	}
	c.forget(o.object.GetUID())
	return ctrl.Result{}, client.IgnoreNotFound(c.finalizer(ctx, o.object, controllerutil.RemoveFinalizer))
}

// releaseAfter is how long a hostname is kept for pods that do not say that they have dropped it: the longest drain,
// and the time to kill.
func releaseAfter() time.Duration {
	return (contract.DefaultDrainSeconds + contract.KillAfterDrain) * time.Second
}

// free deletes a claim as it was read, or empties it when an admin made it.
func (c *core) free(ctx context.Context, claim *v1alpha1.DomainClaim) error {
	if claim.Labels[contract.LabelManagedBy] == contract.ManagedBy {
		err := c.client.Delete(ctx, claim, client.Preconditions{UID: &claim.UID, ResourceVersion: &claim.ResourceVersion})
		if client.IgnoreNotFound(err) != nil {
			return fmt.Errorf("delete DomainClaim %s: %w", claim.Name, err)
		}
		return nil
	}
	claim.Spec.ClaimRef, claim.Spec.AssociationRef = nil, nil
	if err := c.client.Update(ctx, claim, apply.FieldOwner); client.IgnoreNotFound(err) != nil {
		return fmt.Errorf("empty DomainClaim %s: %w", claim.Name, err)
	}
	return nil
}

// finalizer adds or removes ours, in a write of its own.
func (c *core) finalizer(ctx context.Context, o client.Object, change func(client.Object, string) bool) error {
	before, ok := o.DeepCopyObject().(client.Object)
	if !ok || !change(o, Finalizer) {
		return nil
	}
	patch := client.MergeFromWithOptions(before, client.MergeFromWithOptimisticLock{})
	if err := c.client.Patch(ctx, o, patch, apply.FieldOwner); err != nil {
		return fmt.Errorf(
			"change the finalizers of %s %s: %w",
			o.GetObjectKind().GroupVersionKind().Kind,
			client.ObjectKeyFromObject(o),
			err,
		)
	}
	return nil
}
