package render

import (
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"

	"github.com/millrace/millrace/internal/contract"
)

// LabelMetrics, on a namespace, opens the admin ports of media pods to its pods: for Prometheus.
const LabelMetrics = "live.millrace.dev/metrics"

// ServiceAccount of the pool's pods.
func ServiceAccount(p *Pool) *corev1.ServiceAccount {
	return &corev1.ServiceAccount{
		TypeMeta:                     metav1.TypeMeta{APIVersion: "v1", Kind: "ServiceAccount"},
		ObjectMeta:                   p.meta(p.Name()),
		AutomountServiceAccountToken: ptr(false), // the pod template asks for it itself
	}
}

// Role of the pool's pods: their own Plan, by name, and where other pods are.
func Role(p *Pool) *rbacv1.Role {
	return &rbacv1.Role{
		TypeMeta:   metav1.TypeMeta{APIVersion: "rbac.authorization.k8s.io/v1", Kind: "Role"},
		ObjectMeta: p.meta(p.Name()),
		Rules: []rbacv1.PolicyRule{
			{
				APIGroups:     []string{""},
				Resources:     []string{"secrets"},
				ResourceNames: contract.PlanSecretNames(p.Class, p.Role),
				Verbs:         []string{"get", "list", "watch"},
			},
			{
				APIGroups: []string{"discovery.k8s.io"},
				Resources: []string{"endpointslices"},
				Verbs:     []string{"get", "list", "watch"},
			},
		},
	}
}

// RoleBinding returns the Role to the ServiceAccount.
func RoleBinding(p *Pool) *rbacv1.RoleBinding {
	return &rbacv1.RoleBinding{
		TypeMeta:   metav1.TypeMeta{APIVersion: "rbac.authorization.k8s.io/v1", Kind: "RoleBinding"},
		ObjectMeta: p.meta(p.Name()),
		RoleRef:    rbacv1.RoleRef{APIGroup: "rbac.authorization.k8s.io", Kind: "Role", Name: p.Name()},
		Subjects:   []rbacv1.Subject{{Kind: "ServiceAccount", Namespace: p.Namespace, Name: p.Name()}},
	}
}

// NetworkPolicy opens the public ports to everybody, those between pods to media pods and the operator, and the admin
// port to the operator and to namespaces that carry LabelMetrics. The kubelet's probes pass always. What pods send is
// not bounded here.
func NetworkPolicy(p *Pool) *networkingv1.NetworkPolicy {
	var public, internal, admin []networkingv1.NetworkPolicyPort
	for _, l := range p.Listeners() {
		port, protocol := intstr.FromInt32(l.Port), l.Protocol
		entry := networkingv1.NetworkPolicyPort{Protocol: &protocol, Port: &port}
		switch {
		case l.Public:
			public = append(public, entry)
		case l.Name == contract.NameAdmin:
			admin = append(admin, entry)
		default:
			internal = append(internal, entry)
		}
	}
	namespace := func(label, value string) *metav1.LabelSelector {
		return &metav1.LabelSelector{MatchLabels: map[string]string{label: value}}
	}
	operator := networkingv1.NetworkPolicyPeer{NamespaceSelector: namespace(corev1.LabelMetadataName, p.OperatorNamespace)}
	pods := networkingv1.NetworkPolicyPeer{
		PodSelector: &metav1.LabelSelector{MatchLabels: map[string]string{contract.LabelName: contract.Name}},
	}
	scrapers := networkingv1.NetworkPolicyPeer{NamespaceSelector: namespace(LabelMetrics, "true")}
	rules := []networkingv1.NetworkPolicyIngressRule{
		{From: []networkingv1.NetworkPolicyPeer{pods, operator}, Ports: internal},
		{From: []networkingv1.NetworkPolicyPeer{operator, scrapers}, Ports: admin},
	}
	if len(public) > 0 {
		rules = append(rules, networkingv1.NetworkPolicyIngressRule{Ports: public})
	}
	return &networkingv1.NetworkPolicy{
		TypeMeta:   metav1.TypeMeta{APIVersion: "networking.k8s.io/v1", Kind: "NetworkPolicy"},
		ObjectMeta: p.meta(p.Name()),
		Spec: networkingv1.NetworkPolicySpec{
			PodSelector: metav1.LabelSelector{MatchLabels: p.selector()},
			PolicyTypes: []networkingv1.PolicyType{networkingv1.PolicyTypeIngress},
			Ingress:     rules,
		},
	}
}
