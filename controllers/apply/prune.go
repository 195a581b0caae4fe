package apply

import (
	"context"
	"fmt"

	appsv1 "k8s.io/api/apps/v1"
	autoscalingv2 "k8s.io/api/autoscaling/v2"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	policyv1 "k8s.io/api/policy/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/apiutil"

	"github.com/millrace/millrace/internal/contract"
)

// Kinds are those that pools consist of, the pods' Secrets left out, which no cache holds. What makes pods is first.
func Kinds() []client.ObjectList {
	return []client.ObjectList{
		&autoscalingv2.HorizontalPodAutoscalerList{},
		&appsv1.DeploymentList{},
		&corev1.ServiceList{},
		&policyv1.PodDisruptionBudgetList{},
		&networkingv1.NetworkPolicyList{},
		&rbacv1.RoleBindingList{},
		&rbacv1.RoleList{},
		&corev1.ServiceAccountList{},
	}
}

// Prune deletes the objects of a class that nobody wants any more, and tells how many there were. With a role, only
// those of the role.
func (a Applier) Prune(
	ctx context.Context,
	namespace, class string,
	role contract.Role,
	wanted []client.Object,
) (int, error) {
	keep := map[string]bool{}
	for _, o := range wanted {
		gvk, err := apiutil.GVKForObject(o, a.Client.Scheme())
		if err != nil {
			return 0, fmt.Errorf("find the kind of %T: %w", o, err)
		}
		keep[gvk.Kind+"/"+o.GetName()] = true
	}
	labels := client.MatchingLabels{contract.LabelManagedBy: contract.ManagedBy, contract.LabelClass: class}
	if role != "" {
		labels[contract.LabelRole] = string(role)
	}
	deleted := 0
	for _, list := range Kinds() {
		if err := a.Client.List(ctx, list, client.InNamespace(namespace), labels); err != nil {
			return deleted, fmt.Errorf("list %T of class %s: %w", list, class, err)
		}
		objects, err := objectsOf(list)
		if err != nil {
			return deleted, err
		}
		for _, o := range objects {
			gvk, err := apiutil.GVKForObject(o, a.Client.Scheme())
			if err != nil {
				return deleted, fmt.Errorf("find the kind of %T: %w", o, err)
			}
			if keep[gvk.Kind+"/"+o.GetName()] || o.GetDeletionTimestamp() != nil {
				continue
			}
			uid := o.GetUID()
			err = a.Client.Delete(
				ctx,
				o,
				client.Preconditions{UID: &uid},
				client.PropagationPolicy(metav1.DeletePropagationBackground),
			)
			if err != nil && !apierrors.IsNotFound(err) && !apierrors.IsConflict(err) {
				return deleted, fmt.Errorf("delete %s %s: %w", gvk.Kind, client.ObjectKeyFromObject(o), err)
			}
			deleted++
		}
	}
	return deleted, nil
}

func objectsOf(list client.ObjectList) ([]client.Object, error) {
	var out []client.Object
	err := meta.EachListItem(list, func(o runtime.Object) error {
		object, ok := o.(client.Object)
		if !ok {
			return fmt.Errorf("%T is no object", o)
		}
		out = append(out, object)
		return nil
	})
	return out, err
}
