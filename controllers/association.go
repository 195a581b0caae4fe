package controllers

import (
	"context"
	"fmt"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/millrace/millrace/api/v1alpha1"
	"github.com/millrace/millrace/controllers/apply"
	"github.com/millrace/millrace/controllers/status"
)

// +kubebuilder:rbac:groups=live.millrace.dev,resources=domainassociations,verbs=get;list;watch
// +kubebuilder:rbac:groups=live.millrace.dev,resources=domainassociations/status,verbs=patch

// associations reconciles DomainAssociations.
type associations struct{ *core }

// Reconcile binds the child of an association, and reports on it.
func (r associations) Reconcile(ctx context.Context, req ctrl.Request) (ctrl.Result, error) {
	var o v1alpha1.DomainAssociation
	if err := r.client.Get(ctx, req.NamespacedName, &o); err != nil {
		return ctrl.Result{}, client.IgnoreNotFound(err)
	}
	d := r.board.Result().Decision(v1alpha1.KindDomainAssociation, &o)
	if d == nil || o.DeletionTimestamp != nil {
		return ctrl.Result{}, nil
	}
	if d.WantsBinding {
		return r.bind(ctx, &o, d.Child)
	}
	if d.LosesBinding {
		if result, err := r.unbind(ctx, &o, d.Child); err != nil || result != (ctrl.Result{}) {
			return result, err
		}
	}
	var serving status.Serving
	if child := r.board.Result().Domain(d.Child); child != nil {
		if k, _ := poolOf(child); r.early(d.Accepted, k) {
			return ctrl.Result{RequeueAfter: again}, nil
		}
		serving = r.servingDomain(child)
	}
	want, wait := status.DomainAssociation(&o, &d.Verdict, serving, r.Now())
	return r.report(ctx, &o, &o.Status, &want, &want, wait)
}

// bind writes the association on the claim of its child. The update carries the resourceVersion that was read, so of
// many who try one succeeds; a name that stands there is replaced only when that association is gone for certain.
func (r associations) bind(ctx context.Context, o *v1alpha1.DomainAssociation, hostname string) (ctrl.Result, error) {
	claim := &v1alpha1.DomainClaim{}
	if err := r.live.Get(ctx, client.ObjectKey{Name: hostname}, claim); err != nil {
		return ctrl.Result{RequeueAfter: again}, client.IgnoreNotFound(err)
	}
	mine := reference(o)
	if is := claim.Spec.AssociationRef; is != nil {
		if *is == mine {
			return ctrl.Result{}, nil // the board will see it
		}
		if gone, err := r.gone(ctx, claim.Spec.Namespace, is); err != nil || !gone {
			return ctrl.Result{RequeueAfter: again}, err
		}
	}
	return r.record(ctx, claim, &mine)
}

// unbind takes the association from the claim of its child, where it stands.
func (r associations) unbind(ctx context.Context, o *v1alpha1.DomainAssociation, hostname string) (ctrl.Result, error) {
	claim := &v1alpha1.DomainClaim{}
	if err := r.live.Get(ctx, client.ObjectKey{Name: hostname}, claim); err != nil {
		return ctrl.Result{}, client.IgnoreNotFound(err)
	}
	if is := claim.Spec.AssociationRef; is == nil || *is != reference(o) {
		return ctrl.Result{}, nil
	}
	return r.record(ctx, claim, nil)
}

// record writes which association binds the child of a claim, unless the claim has changed meanwhile: then it is looked
// at again.
func (r associations) record(
	ctx context.Context,
	claim *v1alpha1.DomainClaim,
	by *v1alpha1.AssociationReference,
) (ctrl.Result, error) {
	claim.Spec.AssociationRef = by
	if err := r.client.Update(ctx, claim, apply.FieldOwner); apierrors.IsConflict(err) {
		return ctrl.Result{RequeueAfter: again}, nil
	} else if err != nil {
		return ctrl.Result{}, fmt.Errorf("write the association of DomainClaim %s: %w", claim.Name, err)
	}
	return ctrl.Result{}, nil
}

func reference(o *v1alpha1.DomainAssociation) v1alpha1.AssociationReference {
	return v1alpha1.AssociationReference{Name: o.Name, UID: string(o.UID)}
}

// gone reads live whether an association does not exist any more.
func (r associations) gone(ctx context.Context, namespace string, ref *v1alpha1.AssociationReference) (bool, error) {
	var other v1alpha1.DomainAssociation
	err := r.live.Get(ctx, client.ObjectKey{Namespace: namespace, Name: ref.Name}, &other)
	if apierrors.IsNotFound(err) {
		return true, nil
	}
	if err != nil {
		return false, fmt.Errorf("read DomainAssociation %s/%s: %w", namespace, ref.Name, err)
	}
	return string(other.UID) != ref.UID || other.DeletionTimestamp != nil, nil
}
