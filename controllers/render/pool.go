// Package render says which Kubernetes objects a pool of media pods consists of. Everything is a pure function of a
// Pool: no client, no clock, no version of the operator. The package controllers/apply writes what it gives.
package render

import (
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/millrace/millrace/api/v1alpha1"
	"github.com/millrace/millrace/internal/contract"
)

// Annotations of rendered objects.
const (
	// AnnotationInputs, on a Deployment, names what its pod template was made from.
	AnnotationInputs = "live.millrace.dev/template-inputs"
	// AnnotationTemplate, on a Deployment, is its pod template as JSON. It is used as it stands until the inputs change,
	// so another version of the operator, which may render otherwise, restarts no pod.
	AnnotationTemplate = "live.millrace.dev/template"
	// AnnotationSlot, on a Deployment, is the port slot of its pods: 0 or 1.
	AnnotationSlot = "live.millrace.dev/port-slot"
	// AnnotationDeletionCost makes the Deployment controller remove the emptiest pods first.
	AnnotationDeletionCost = "controller.kubernetes.io/pod-deletion-cost"
	// LabelPod, on a pod and on the Service that is its own, is the name of the pod.
	LabelPod = "live.millrace.dev/pod"
)

// Pool is all that the objects of a pool follow from.
type Pool struct {
	Class  string
	Region string
	Role   contract.Role
	Spec   v1alpha1.Pool
	// Encoder and MaxSessions are those of a transcoder.
	Encoder     v1alpha1.Encoder
	MaxSessions int32
	// Image of the pods, never empty.
	Image string
	// Kept: nobody named the image, and it is one of an earlier operator. It may not know what this one would have it do.
	Kept bool
	// Namespace of the media pods, and that of the operator, which listens to them.
	Namespace         string
	OperatorNamespace string
	// Template, when it is set, is the pod template to keep, made from Inputs with Slot; see Pin.
	Pinned Pinned
	// Pods are the names of the pods, for the exposures that give each pod a Service.
	Pods []string
	// NodePorts are the node ports that the pods' Services were given for UDP, by pod: TCP gets the same.
	NodePorts map[string]int32
}

// PoolOf picks the pool of a role from a class.
func PoolOf(class *v1alpha1.MediaClass, role contract.Role) Pool {
	p := Pool{Class: class.Name, Region: class.Spec.Region, Role: role}
	pools := &class.Spec.Pools
	switch role {
	case contract.Ingest:
		p.Spec = pools.Ingest
	case contract.Relay:
		p.Spec = pools.Relay
	case contract.Edge:
		p.Spec = pools.Edge
	case contract.Transcoder:
		p.Spec, p.Encoder, p.MaxSessions = pools.Transcoder.Pool, pools.Transcoder.Encoder, pools.Transcoder.MaxSessions
	case contract.Recorder:
		p.Spec = pools.Recorder
	}
	return p
}

// Name of the pool's main objects.
func (p *Pool) Name() string { return contract.PoolName(p.Class, p.Role) }

// Labels of everything in the pool.
func (p *Pool) Labels() map[string]string { return contract.Labels(p.Class, p.Region, p.Role) }

// selector of the pool's pods. The region is not in it: selectors of Deployments are immutable, and a class may change
// its region.
func (p *Pool) selector() map[string]string {
	return map[string]string{
		contract.LabelName:  contract.Name,
		contract.LabelClass: p.Class,
		contract.LabelRole:  string(p.Role),
	}
}

// Exposure of the pool; HostPort when it says nothing.
func (p *Pool) Exposure() v1alpha1.ExposureType {
	if p.Spec.Exposure.Type == "" {
		return v1alpha1.ExposeHostPort
	}
	return p.Spec.Exposure.Type
}

// Replicas is the number of pods that the class asks for, and false when an autoscaler decides.
func (p *Pool) Replicas() (int32, bool) {
	switch {
	case p.Role == contract.Recorder:
		return 0, true // the role comes later
	case p.Spec.Autoscaling != nil:
		return max(p.Spec.Autoscaling.MinReplicas, 1), false
	case p.Spec.Replicas != nil:
		return *p.Spec.Replicas, true
	}
	return 1, true
}

// DrainSeconds is how long a drain may take.
func (p *Pool) DrainSeconds() int32 {
	if p.Spec.DrainSeconds == nil {
		return contract.DefaultDrainSeconds
	}
	return *p.Spec.DrainSeconds
}

// PerPodServices reports whether each pod has a Service of its own: only media that leaves the pods by themselves needs
// one.
func (p *Pool) PerPodServices() bool {
	e := p.Exposure()
	return p.Role == contract.Relay && (e == v1alpha1.ExposeNodePort || e == v1alpha1.ExposeLoadBalancer)
}

// Objects lists the objects of the pool in the order in which they are to be applied: what pods need comes before them.
func Objects(p *Pool) []client.Object {
	out := []client.Object{ServiceAccount(p), Role(p), RoleBinding(p), NetworkPolicy(p), PodsService(p)}
	if s := PublicService(p); s != nil {
		out = append(out, s)
	}
	if p.PerPodServices() {
		for _, pod := range p.Pods {
			out = append(out, PodService(p, pod))
		}
	}
	out = append(out, PodDisruptionBudget(p), Deployment(p))
	if a := p.Spec.Autoscaling; a != nil && p.Role != contract.Recorder {
		out = append(out, Autoscaler(p))
	}
	return out
}
