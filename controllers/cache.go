package controllers

import (
	"fmt"

	appsv1 "k8s.io/api/apps/v1"
	autoscalingv2 "k8s.io/api/autoscaling/v2"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	policyv1 "k8s.io/api/policy/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/millrace/millrace/api/v1alpha1"
	"github.com/millrace/millrace/internal/contract"
)

// Scheme has all kinds that the operator reads and writes.
func Scheme() (*runtime.Scheme, error) {
	s := runtime.NewScheme()
	for _, add := range []func(*runtime.Scheme) error{clientgoscheme.AddToScheme, v1alpha1.AddToScheme} {
		if err := add(s); err != nil {
			return nil, fmt.Errorf("register the kinds of the API: %w", err)
		}
	}
	return s, nil
}

// CacheOptions bound what the operator keeps in memory: its own kinds everywhere, what pools consist of in the media
// namespace only, and of Secrets no data at all. Nothing keeps the record of who owns which field.
func CacheOptions(opt Options) cache.Options {
	opt.fill()
	mine := labels.SelectorFromSet(labels.Set{contract.LabelManagedBy: contract.ManagedBy})
	media := cache.ByObject{Namespaces: map[string]cache.Config{opt.MediaNamespace: {LabelSelector: mine}}}
	out := cache.Options{DefaultTransform: cache.TransformStripManagedFields(), ByObject: map[client.Object]cache.ByObject{
		&corev1.Node{}: {Transform: onlyAddresses},
	}}
	for _, o := range []client.Object{
		&appsv1.Deployment{}, &corev1.Service{}, &corev1.ServiceAccount{}, &corev1.Pod{}, &rbacv1.Role{},
		&rbacv1.RoleBinding{},
		&policyv1.PodDisruptionBudget{}, &networkingv1.NetworkPolicy{}, &autoscalingv2.HorizontalPodAutoscaler{},
	} {
		out.ByObject[o] = media
	}
	return out
}

// ClientOptions keep Secrets out of caches: who reads one asks the API server.
func ClientOptions() client.Options {
	return client.Options{Cache: &client.CacheOptions{DisableFor: []client.Object{&corev1.Secret{}}}}
}

// onlyAddresses leaves of a node what is looked at.
func onlyAddresses(o any) (any, error) {
	node, ok := o.(*corev1.Node)
	if !ok {
		return o, nil
	}
	node.ManagedFields, node.Annotations, node.Spec = nil, nil, corev1.NodeSpec{}
	node.Status = corev1.NodeStatus{Addresses: node.Status.Addresses}
	return node, nil
}
