package fleet

import (
	"context"
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
	toolscache "k8s.io/client-go/tools/cache"
	"sigs.k8s.io/controller-runtime/pkg/cache"

	"github.com/millrace/millrace/controllers/render"
	"github.com/millrace/millrace/internal/contract"
)

// Pod is what is known of a media pod from the API server.
type Pod struct {
	Name string
	Pool PoolKey
	Node string
	// Running pods have a process that may serve.
	Running    bool
	Ready      bool
	ReadySince time.Time
	// Terminating pods drain.
	Terminating bool
	Addressing  Addressing
	// DeletionCost is the annotation that it has.
	DeletionCost string
	// Labelled reports whether it carries its own name as a label.
	Labelled bool
}

// Addressing is what of a pod its addresses follow from.
type Addressing struct {
	IP        string
	Annotated string // contract.AnnotationPublicEndpoints
	// Ports by the names of contract: on the node when it takes ports there, else of the pod.
	Media, RTMP, RTMPS, HTTP, HTTPS int32
	OnNode                          bool
}

// PodOf reads a media pod; false when it is none.
func PodOf(o *corev1.Pod) (Pod, bool) {
	role := contract.Role(o.Labels[contract.LabelRole])
	class := o.Labels[contract.LabelClass]
	if role == "" || class == "" {
		return Pod{}, false
	}
	p := Pod{
		Name: o.Name, Pool: PoolKey{class, role}, Node: o.Spec.NodeName,
		Running:     running(o),
		Terminating: o.DeletionTimestamp != nil,
		Addressing:  Addressing{IP: o.Status.PodIP, Annotated: o.Annotations[contract.AnnotationPublicEndpoints]},

		DeletionCost: o.Annotations[render.AnnotationDeletionCost],
		Labelled:     o.Labels[render.LabelPod] == o.Name,
	}
	for _, c := range o.Status.Conditions {
		if c.Type == corev1.PodReady {
			p.Ready, p.ReadySince = c.Status == corev1.ConditionTrue, c.LastTransitionTime.Time
		}
	}
	for i := range o.Spec.Containers {
		for _, port := range o.Spec.Containers[i].Ports {
			p.Addressing.note(port)
		}
	}
	return p, true
}

// running reports whether a pod has a process that serves, as far as the kubelet said. The phase alone does not: a pod
// that waits to be started again after a crash stays in phase Running. One whose node is cut off keeps its last state,
// and counts as running: it may well serve.
func running(o *corev1.Pod) bool {
	if o.Status.Phase != corev1.PodRunning {
		return false
	}
	for i := range o.Status.ContainerStatuses {
		if c := &o.Status.ContainerStatuses[i]; c.Name == contract.Name {
			return c.State.Running != nil
		}
	}
	return true // nothing was said of it
}

func (a *Addressing) note(port corev1.ContainerPort) {
	n := port.ContainerPort
	if port.HostPort != 0 {
		n, a.OnNode = port.HostPort, true
	}
	switch port.Name {
	case contract.NameMediaUDP:
		a.Media = n
	case contract.NameRTMP:
		a.RTMP = n
	case contract.NameRTMPS:
		a.RTMPS = n
	case contract.NameHTTP:
		a.HTTP = n
	case contract.NameHTTPS:
		a.HTTPS = n
	}
}

// Watch follows the media pods in a cache.
func (f *Fleet) Watch(ctx context.Context, c cache.Cache) error {
	informer, err := c.GetInformer(ctx, &corev1.Pod{})
	if err != nil {
		return fmt.Errorf("watch pods: %w", err)
	}
	set := func(o any) {
		if pod, ok := o.(*corev1.Pod); ok {
			if p, ours := PodOf(pod); ours {
				f.SetPod(p)
			}
		}
	}
	_, err = informer.AddEventHandler(toolscache.ResourceEventHandlerFuncs{
		AddFunc:    set,
		UpdateFunc: func(_, o any) { set(o) },
		DeleteFunc: func(o any) {
			if gone, ok := o.(toolscache.DeletedFinalStateUnknown); ok {
				o = gone.Obj
			}
			if pod, ok := o.(*corev1.Pod); ok {
				f.DropPod(pod.Name)
			}
		},
	})
	if err != nil {
		return fmt.Errorf("watch pods: %w", err)
	}
	return nil
}
