package operator_test

import (
	"context"
	"fmt"
	"strings"
	"testing"

	apimeta "k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/millrace/millrace/api/v1alpha1"
	"github.com/millrace/millrace/controllers/envtest"
	"github.com/millrace/millrace/internal/testkit"
)

// decided reads a condition of an object when the operator has decided about the object as it is now.
func decided(ctx context.Context, c client.Client, o client.Object, conditionType string) (*metav1.Condition, error) {
	kinds, _, err := c.Scheme().ObjectKinds(o)
	if err != nil {
		return nil, err
	}
	there := &unstructured.Unstructured{}
	there.SetGroupVersionKind(kinds[0])
	if err := c.Get(ctx, client.ObjectKeyFromObject(o), there); err != nil {
		return nil, err
	}
	content, _, err := unstructured.NestedMap(there.Object, "status")
	if err != nil {
		return nil, err
	}
	var status struct {
		ObservedGeneration int64              `json:"observedGeneration"`
		Conditions         []metav1.Condition `json:"conditions"`
	}
	if err := runtime.DefaultUnstructuredConverter.FromUnstructured(content, &status); err != nil {
		return nil, err
	}
	condition := apimeta.FindStatusCondition(status.Conditions, conditionType)
	if condition == nil {
		return nil, fmt.Errorf("%T %s has no condition %s", o, client.ObjectKeyFromObject(o), conditionType)
	}
	if condition.ObservedGeneration != there.GetGeneration() || condition.Reason == string(v1alpha1.ReasonPending) {
		return condition, fmt.Errorf(
			"%T %s is not decided yet: %s, %s",
			o,
			client.ObjectKeyFromObject(o),
			condition.Reason,
			condition.Message,
		)
	}
	return condition, nil
}

// settle waits until the operator has decided about an object that is given.
func settle(t *testing.T, c *envtest.Cluster, name string, o client.Object) {
	t.Helper()
	if _, ok := o.(*v1alpha1.DomainClaim); ok {
		return
	}
	testkit.Succeeds(t, func() error {
		_, err := decided(t.Context(), c, o, v1alpha1.ConditionAccepted)
		if err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		return nil
	})
}

// wantCondition waits for the condition that the reconcilers give a candidate.
func wantCondition(t *testing.T, c *envtest.Cluster, o client.Object, want v1alpha1.Reason, w world) {
	t.Helper()
	status, reason := metav1.ConditionFalse, want
	if want == "" {
		status, reason = metav1.ConditionTrue, v1alpha1.ReasonAccepted
	}
	var last *metav1.Condition
	testkit.Succeeds(t, func() error {
		condition, err := decided(t.Context(), c, o, v1alpha1.ConditionAccepted)
		if err != nil {
			return err
		}
		last = condition
		if condition.Status != status || condition.Reason != string(reason) {
			return fmt.Errorf(
				"Accepted is %s, %s: %s; want %s, %s",
				condition.Status,
				condition.Reason,
				condition.Message,
				status,
				reason,
			)
		}
		return nil
	})
	if want != "" && last.Message == "" {
		t.Error("there is no message")
	}
	if w.other != "" && strings.Contains(last.Message, w.other) {
		t.Errorf("the message names another namespace: %s", last.Message)
	}
}
