package render

import (
	appsv1 "k8s.io/api/apps/v1"
	autoscalingv2 "k8s.io/api/autoscaling/v2"
	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
)

func (p *Pool) meta(name string) metav1.ObjectMeta {
	return metav1.ObjectMeta{Namespace: p.Namespace, Name: name, Labels: p.Labels()}
}

// Deployment of the pool's pods. With an autoscaler it has no replicas: whoever applies them takes them from the
// autoscaler.
func Deployment(p *Pool) *appsv1.Deployment {
	template := p.Pinned.Template
	if template == nil {
		fresh := Template(p)
		template = &fresh
	}
	// A new pod is there before an old one goes, one at a time in small pools.
	surge, unavailable := intstr.FromString("25%"), intstr.FromInt32(0)
	d := &appsv1.Deployment{
		TypeMeta:   metav1.TypeMeta{APIVersion: "apps/v1", Kind: "Deployment"},
		ObjectMeta: p.meta(p.Name()),
		Spec: appsv1.DeploymentSpec{
			Selector:             &metav1.LabelSelector{MatchLabels: p.selector()},
			Template:             *template,
			RevisionHistoryLimit: ptr[int32](2),
			Strategy: appsv1.DeploymentStrategy{
				Type:          appsv1.RollingUpdateDeploymentStrategyType,
				RollingUpdate: &appsv1.RollingUpdateDeployment{MaxSurge: &surge, MaxUnavailable: &unavailable},
			},
		},
	}
	d.Annotations = p.annotations(template)
	if n, fixed := p.Replicas(); fixed {
		d.Spec.Replicas = &n
	}
	return d
}

// PodDisruptionBudget lets nodes be drained one pod at a time, and never blocks on pods that are broken anyway.
func PodDisruptionBudget(p *Pool) *policyv1.PodDisruptionBudget {
	one, always := intstr.FromInt32(1), policyv1.AlwaysAllow
	return &policyv1.PodDisruptionBudget{
		TypeMeta:   metav1.TypeMeta{APIVersion: "policy/v1", Kind: "PodDisruptionBudget"},
		ObjectMeta: p.meta(p.Name()),
		Spec: policyv1.PodDisruptionBudgetSpec{
			MaxUnavailable:             &one,
			UnhealthyPodEvictionPolicy: &always,
			Selector:                   &metav1.LabelSelector{MatchLabels: p.selector()},
		},
	}
}

// Autoscaler keeps the pods at a share of the CPU that they ask for. It goes up fast and down slowly: a pod that goes
// has to drain.
func Autoscaler(p *Pool) *autoscalingv2.HorizontalPodAutoscaler {
	a := p.Spec.Autoscaling
	least := max(a.MinReplicas, 1)
	target := a.TargetCPUPercent
	if target == 0 {
		target = 60
	}
	return &autoscalingv2.HorizontalPodAutoscaler{
		TypeMeta:   metav1.TypeMeta{APIVersion: "autoscaling/v2", Kind: "HorizontalPodAutoscaler"},
		ObjectMeta: p.meta(p.Name()),
		Spec: autoscalingv2.HorizontalPodAutoscalerSpec{
			ScaleTargetRef: autoscalingv2.CrossVersionObjectReference{APIVersion: "apps/v1", Kind: "Deployment", Name: p.Name()},
			MinReplicas:    &least,
			MaxReplicas:    a.MaxReplicas,
			Metrics: []autoscalingv2.MetricSpec{{
				Type: autoscalingv2.ResourceMetricSourceType,
				Resource: &autoscalingv2.ResourceMetricSource{
					Name:   corev1.ResourceCPU,
					Target: autoscalingv2.MetricTarget{Type: autoscalingv2.UtilizationMetricType, AverageUtilization: &target},
				},
			}},
			Behavior: &autoscalingv2.HorizontalPodAutoscalerBehavior{
				ScaleDown: &autoscalingv2.HPAScalingRules{
					StabilizationWindowSeconds: ptr[int32](600),
					Policies: []autoscalingv2.HPAScalingPolicy{
						{Type: autoscalingv2.PodsScalingPolicy, Value: 1, PeriodSeconds: 60},
					},
				},
			},
		},
	}
}

func ptr[T any](v T) *T { return &v }
