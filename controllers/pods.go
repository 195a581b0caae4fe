package controllers

import (
	"context"
	"encoding/json"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/millrace/millrace/controllers/apply"
)

// patchPod adds labels and annotations to a pod, and nothing else: the pod belongs to its Deployment.
func (c *core) patchPod(ctx context.Context, name string, labels, annotations map[string]any) error {
	metadata := map[string]any{}
	if len(labels) > 0 {
		metadata["labels"] = labels
	}
	if len(annotations) > 0 {
		metadata["annotations"] = annotations
	}
	patch, err := json.Marshal(map[string]any{"metadata": metadata})
	if err != nil {
		return fmt.Errorf("encode the patch of Pod %s: %w", name, err)
	}
	pod := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: c.MediaNamespace, Name: name}}
	err = c.client.Patch(ctx, pod, client.RawPatch(types.MergePatchType, patch), apply.FieldOwner)
	if client.IgnoreNotFound(err) != nil {
		return fmt.Errorf("patch Pod %s: %w", name, err)
	}
	return nil
}
