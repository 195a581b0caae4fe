package render

import (
	"hash/fnv"
	"maps"
	"strconv"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"

	"github.com/millrace/millrace/api/v1alpha1"
	"github.com/millrace/millrace/internal/contract"
)

// Ports of the public Services that are not those of the pods.
const (
	servicePortHTTP  = 80
	servicePortHTTPS = 443
)

func (p *Pool) service(name string) *corev1.Service {
	return &corev1.Service{
		TypeMeta:   metav1.TypeMeta{APIVersion: "v1", Kind: "Service"},
		ObjectMeta: p.meta(name),
		Spec:       corev1.ServiceSpec{Selector: p.selector()},
	}
}

func servicePort(l Listener, port int32) corev1.ServicePort {
	return corev1.ServicePort{Name: l.Name, Protocol: l.Protocol, Port: port, TargetPort: intstr.FromString(l.Name)}
}

// PublicService is where clients come in over TCP; nil for roles that no client talks to. Media over UDP goes to the
// pods themselves, so no Service ever stands in its way.
func PublicService(p *Pool) *corev1.Service {
	s := p.service(p.Name())
	for _, l := range p.Listeners() {
		switch l.Name {
		case contract.NameHTTP:
			s.Spec.Ports = append(s.Spec.Ports, servicePort(l, servicePortHTTP))
		case contract.NameHTTPS:
			s.Spec.Ports = append(s.Spec.Ports, servicePort(l, servicePortHTTPS))
		case contract.NameRTMP:
			s.Spec.Ports = append(s.Spec.Ports, servicePort(l, contract.PortRTMP))
		case contract.NameRTMPS:
			s.Spec.Ports = append(s.Spec.Ports, servicePort(l, contract.PortRTMPS))
		}
	}
	if len(s.Spec.Ports) == 0 {
		return nil
	}
	switch p.Exposure() {
	case v1alpha1.ExposeLoadBalancer:
		s.Spec.Type = corev1.ServiceTypeLoadBalancer
		s.Spec.ExternalTrafficPolicy = corev1.ServiceExternalTrafficPolicyLocal // pods see the address of the client
	case v1alpha1.ExposeNodePort:
		s.Spec.Type = corev1.ServiceTypeNodePort
		s.Spec.ExternalTrafficPolicy = corev1.ServiceExternalTrafficPolicyLocal // as above; only nodes with a pod answer
	default:
		s.Spec.Type = corev1.ServiceTypeClusterIP
	}
	return s
}

// PodsService is how pods and the operator find the pods of the pool: ready or not, for a pod that is not ready has
// streams too.
func PodsService(p *Pool) *corev1.Service {
	s := p.service(contract.PodsServiceName(p.Class, p.Role))
	s.Spec.Type, s.Spec.ClusterIP, s.Spec.PublishNotReadyAddresses = corev1.ServiceTypeClusterIP, corev1.ClusterIPNone,
		true
	for _, name := range []string{contract.NameInternal, contract.NameRTSP} {
		l, _ := p.Listener(name)
		s.Spec.Ports = append(s.Spec.Ports, servicePort(l, l.Port))
	}
	return s
}

// PodServiceName is the name of the Service of one pod. Names of pods may be too long for a Service.
func PodServiceName(p *Pool, pod string) string {
	h := fnv.New64a()
	_, _ = h.Write([]byte(pod))
	return p.Name() + "-" + strconv.FormatUint(h.Sum64(), 36)
}

// PodService exposes the media port of one pod. UDP and TCP get the same port on nodes, for players are told one
// number.
func PodService(p *Pool, pod string) *corev1.Service {
	s := p.service(PodServiceName(p, pod))
	s.Labels[LabelPod] = pod
	s.Spec.Selector = maps.Clone(s.Spec.Selector)
	s.Spec.Selector[LabelPod] = pod
	udp, _ := p.Listener(contract.NameMediaUDP)
	tcp, _ := p.Listener(contract.NameMediaTCP)
	s.Spec.Ports = []corev1.ServicePort{servicePort(udp, udp.Port), servicePort(tcp, tcp.Port)}
	s.Spec.Type = corev1.ServiceTypeNodePort
	if p.Exposure() == v1alpha1.ExposeLoadBalancer {
		s.Spec.Type = corev1.ServiceTypeLoadBalancer
	}
	// Only the node of the pod answers, and the pod sees the address of the viewer.
	s.Spec.ExternalTrafficPolicy = corev1.ServiceExternalTrafficPolicyLocal
	s.Spec.PublishNotReadyAddresses = true // a draining pod keeps its viewers
	if n := p.NodePorts[pod]; n != 0 && p.Exposure() == v1alpha1.ExposeNodePort {
		s.Spec.Ports[0].NodePort, s.Spec.Ports[1].NodePort = n, n
	}
	return s
}
