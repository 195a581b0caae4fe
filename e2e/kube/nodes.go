package kube

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// Nodes are all nodes, by name.
func (c *Cluster) Nodes(ctx context.Context) (map[string]*corev1.Node, error) {
	var list corev1.NodeList
	if err := c.List(ctx, &list); err != nil {
		return nil, fmt.Errorf("listing nodes: %w", err)
	}
	nodes := map[string]*corev1.Node{}
	for i := range list.Items {
		nodes[list.Items[i].Name] = &list.Items[i]
	}
	return nodes, nil
}

// WaitNode waits until a node is Ready, or is not.
func (c *Cluster) WaitNode(ctx context.Context, limit time.Duration, name string, ready bool) error {
	return Poll(ctx, limit, fmt.Sprintf("node %s to have Ready=%t", name, ready), func(ctx context.Context) error {
		var node corev1.Node
		if err := c.Get(ctx, client.ObjectKey{Name: name}, &node); err != nil {
			return fmt.Errorf("reading the node: %w", err)
		}
		for _, condition := range node.Status.Conditions {
			if condition.Type == corev1.NodeReady && (condition.Status == corev1.ConditionTrue) != ready {
				return fmt.Errorf("it is %s: %s", condition.Status, condition.Message)
			}
		}
		return nil
	})
}

// Pods are the pods of a namespace that have the labels and are not on their way out, in the order of their names.
func (c *Cluster) Pods(ctx context.Context, namespace string, labels map[string]string) ([]corev1.Pod, error) {
	var list corev1.PodList
	if err := c.List(ctx, &list, client.InNamespace(namespace), client.MatchingLabels(labels)); err != nil {
		return nil, fmt.Errorf("listing pods: %w", err)
	}
	pods := slices.DeleteFunc(list.Items, func(p corev1.Pod) bool { return p.DeletionTimestamp != nil })
	return pods, nil
}

// Ready reports whether a pod is.
func Ready(p *corev1.Pod) bool {
	return p.DeletionTimestamp == nil && slices.ContainsFunc(p.Status.Conditions, func(c corev1.PodCondition) bool {
		return c.Type == corev1.PodReady && c.Status == corev1.ConditionTrue
	})
}

// WaitPods waits until at least so many pods with the labels are Ready, and none is there that is not, and returns
// them.
func (c *Cluster) WaitPods(
	ctx context.Context,
	limit time.Duration,
	namespace string,
	labels map[string]string,
	atLeast int,
) ([]corev1.Pod, error) {
	var found []corev1.Pod
	err := Poll(
		ctx,
		limit,
		fmt.Sprintf("%d pods %v in %s to be Ready", atLeast, labels, namespace),
		func(ctx context.Context) error {
			pods, err := c.Pods(ctx, namespace, labels)
			if err != nil {
				return err
			}
			for i := range pods {
				if !Ready(&pods[i]) {
					return errors.New(describe(&pods[i]))
				}
			}
			if len(pods) < atLeast {
				return fmt.Errorf("there are %d", len(pods))
			}
			found = pods
			return nil
		},
	)
	return found, err
}

// describe says why a pod is not Ready.
func describe(p *corev1.Pod) string {
	said := fmt.Sprintf("pod %s on %q is %s", p.Name, p.Spec.NodeName, p.Status.Phase)
	for _, c := range p.Status.Conditions {
		if c.Status != corev1.ConditionTrue && c.Message != "" {
			said += "; " + string(c.Type) + ": " + c.Message
		}
	}
	for _, c := range p.Status.ContainerStatuses {
		if w := c.State.Waiting; w != nil {
			said += fmt.Sprintf("; container %s waits: %s %s", c.Name, w.Reason, w.Message)
		}
		if t := c.LastTerminationState.Terminated; t != nil {
			said += fmt.Sprintf("; it ended before with %d %s %s", t.ExitCode, t.Reason, t.Message)
		}
	}
	return said
}
