// Package apply is the one place that writes rendered objects: server-side, with one field owner, and only when what is
// there differs.
package apply

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/apiutil"
)

// FieldOwner owns every field that the operator writes.
const FieldOwner = client.FieldOwner("millrace-operator")

// AnnotationRendered names what the operator rendered: a field that it no longer renders changes it, and is so taken
// away.
const AnnotationRendered = "live.millrace.dev/rendered"

// Applier writes objects.
type Applier struct {
	// Client reads from a cache.
	Client client.Client
}

// Apply makes an object be as given, and reports whether it had to write. The object needs its TypeMeta.
func (a Applier) Apply(ctx context.Context, object client.Object) (bool, error) {
	wanted, err := Desired(object)
	if err != nil {
		return false, err
	}
	live, err := a.live(ctx, object)
	if err != nil {
		return false, err
	}
	if live != nil && Covers(live.Object, wanted.Object) {
		return false, nil
	}
	return true, Write(ctx, a.Client, wanted)
}

// Write applies an object as it is.
func Write(ctx context.Context, c client.Client, object *unstructured.Unstructured) error {
	if err := c.Apply(ctx, client.ApplyConfigurationFromUnstructured(object), FieldOwner,
		client.ForceOwnership); err != nil {
		return fmt.Errorf("apply %s %s: %w", object.GetKind(), client.ObjectKeyFromObject(object), err)
	}
	return nil
}

// Plain is an object in the form in which it is applied: without what the API server fills in.
func Plain(object client.Object) (*unstructured.Unstructured, error) {
	content, err := runtime.DefaultUnstructuredConverter.ToUnstructured(object)
	if err != nil {
		return nil, fmt.Errorf("convert %T %s: %w", object, client.ObjectKeyFromObject(object), err)
	}
	u := &unstructured.Unstructured{Object: content}
	delete(u.Object, "status")
	prune(u.Object)
	return u, nil
}

// Desired is Plain with a name for what was rendered. It is not for Secrets, for the name follows from all that is in
// the object.
func Desired(object client.Object) (*unstructured.Unstructured, error) {
	u, err := Plain(object)
	if err != nil {
		return nil, err
	}
	text, err := json.Marshal(u.Object)
	if err != nil {
		return nil, fmt.Errorf("encode %T %s: %w", object, client.ObjectKeyFromObject(object), err)
	}
	sum := sha256.Sum256(text)
	annotations := u.GetAnnotations()
	if annotations == nil {
		annotations = map[string]string{}
	}
	annotations[AnnotationRendered] = hex.EncodeToString(sum[:8])
	u.SetAnnotations(annotations)
	return u, nil
}

// prune removes nulls, and maps that are empty after that: they say nothing, and some of them server-side apply
// refuses.
func prune(m map[string]any) {
	for key, value := range m {
		switch v := value.(type) {
		case nil:
			delete(m, key)
		case map[string]any:
			empty := len(v) == 0
			prune(v)
			if len(v) == 0 && !empty {
				delete(m, key)
			}
		case []any:
			for _, entry := range v {
				if nested, ok := entry.(map[string]any); ok {
					prune(nested)
				}
			}
		}
	}
}

// live reads what is there; nil when there is nothing.
func (a Applier) live(ctx context.Context, object client.Object) (*unstructured.Unstructured, error) {
	gvk, err := apiutil.GVKForObject(object, a.Client.Scheme())
	if err != nil {
		return nil, fmt.Errorf("find the kind of %T: %w", object, err)
	}
	made, err := a.Client.Scheme().New(gvk)
	if err != nil {
		return nil, fmt.Errorf("make a %s: %w", gvk.Kind, err)
	}
	into, ok := made.(client.Object)
	if !ok {
		return nil, fmt.Errorf("%s is no object", gvk.Kind)
	}
	key := client.ObjectKeyFromObject(object)
	if err := a.Client.Get(ctx, key, into); apierrors.IsNotFound(err) {
		return nil, nil //nolint:nilnil // there is none, which is no error
	} else if err != nil {
		return nil, fmt.Errorf("read %s %s: %w", gvk.Kind, key, err)
	}
	content, err := runtime.DefaultUnstructuredConverter.ToUnstructured(into)
	if err != nil {
		return nil, fmt.Errorf("convert %s %s: %w", gvk.Kind, key, err)
	}
	return &unstructured.Unstructured{Object: content}, nil
}
