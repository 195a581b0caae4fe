package operator

import (
	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	appsv1 "k8s.io/api/apps/v1"
	autoscalingv2 "k8s.io/api/autoscaling/v2"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	networkingv1 "k8s.io/api/networking/v1"
	policyv1 "k8s.io/api/policy/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	"k8s.io/apimachinery/pkg/fields"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/millrace/millrace/controllers/admission"
)

// cacheOptions say what is watched where: the operator may see the kinds that it renders in the media namespace only, and one webhook
// configuration.
func cacheOptions(opt Options) cache.Options {
	inMedia := cache.ByObject{Namespaces: map[string]cache.Config{opt.MediaNamespace: {}}}
	by := map[client.Object]cache.ByObject{
		&admissionregistrationv1.ValidatingWebhookConfiguration{}: {
			Field: fields.OneTermEqualSelector("metadata.name", admission.ConfigurationName),
		},
	}
	for _, kind := range []client.Object{
		&appsv1.Deployment{}, &appsv1.ReplicaSet{}, &autoscalingv2.HorizontalPodAutoscaler{}, &corev1.Pod{}, &corev1.Service{}, &corev1.ServiceAccount{},
		&discoveryv1.EndpointSlice{}, &networkingv1.NetworkPolicy{}, &policyv1.PodDisruptionBudget{}, &rbacv1.Role{}, &rbacv1.RoleBinding{},
	} {
		by[kind] = inMedia
	}
	return cache.Options{ByObject: by, DefaultTransform: cache.TransformStripManagedFields()}
}
