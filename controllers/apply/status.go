package apply

import (
	"context"
	"fmt"

	"k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/apiutil"
)

// Status makes the status of an object be as given, when it is not. was is the status that the object has; both are
// pointers to structs. The object's UID goes with it: a status never lands on another object of the same name.
func Status(ctx context.Context, c client.Client, object client.Object, was, now any) (bool, error) {
	if equality.Semantic.DeepEqual(was, now) {
		return false, nil
	}
	gvk, err := apiutil.GVKForObject(object, c.Scheme())
	if err != nil {
		return false, fmt.Errorf("find the kind of %T: %w", object, err)
	}
	content, err := runtime.DefaultUnstructuredConverter.ToUnstructured(now)
	if err != nil {
		return false, fmt.Errorf("convert the status of %s %s: %w", gvk.Kind, client.ObjectKeyFromObject(object), err)
	}
	prune(content)
	u := &unstructured.Unstructured{Object: map[string]any{"status": content}}
	u.SetGroupVersionKind(gvk)
	u.SetNamespace(object.GetNamespace())
	u.SetName(object.GetName())
	u.SetUID(object.GetUID())
	if err := c.Status().Apply(ctx, client.ApplyConfigurationFromUnstructured(u), FieldOwner,
		client.ForceOwnership); err != nil {
		return false, fmt.Errorf("write the status of %s %s: %w", gvk.Kind, client.ObjectKeyFromObject(object), err)
	}
	return true, nil
}
