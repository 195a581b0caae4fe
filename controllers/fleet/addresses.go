package fleet

import (
	"net/netip"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"

	"github.com/millrace/millrace/api/v1alpha1"
	"github.com/millrace/millrace/controllers/render"
	"github.com/millrace/millrace/internal/contract"
	"github.com/millrace/millrace/internal/contract/bundle"
)

// The rules by which the media address of a pod is chosen; the first that gives one is taken.
const (
	RuleAdvertise      = "Advertise"      // exposure.advertise of the class
	RulePodAnnotation  = "PodAnnotation"  // the annotation that network plugins set
	RulePodService     = "PodService"     // what the Service of the pod was given
	RuleNodeExternalIP = "NodeExternalIP" // of the pod's node
	RuleNodeInternalIP = "NodeInternalIP"
	RulePodIP          = "PodIP" // inside of the cluster only
)

// maxAddresses of a pod.
const maxAddresses = 16

// Node is what is known of a node.
type Node struct{ External, Internal []netip.Addr }

// NodeOf reads the addresses of a node.
func NodeOf(o *corev1.Node) Node {
	var n Node
	for _, a := range o.Status.Addresses {
		ip, err := netip.ParseAddr(a.Address)
		if err != nil {
			continue
		}
		switch a.Type {
		case corev1.NodeExternalIP:
			n.External = append(n.External, ip)
		case corev1.NodeInternalIP:
			n.Internal = append(n.Internal, ip)
		}
	}
	return n
}

func (n Node) equal(o Node) bool {
	return slices.Equal(n.External, o.External) && slices.Equal(n.Internal, o.Internal)
}

// Addresses says where each pod of a relay pool is reached for media, and by which rule. services are those of single
// pods, by pod.
func Addresses(
	p *render.Pool,
	pods []Pod,
	nodes map[string]Node,
	services map[string]*corev1.Service,
) map[string]bundle.Address {
	out := map[string]bundle.Address{}
	if p.Role != contract.Relay {
		return out
	}
	for _, pod := range pods {
		if a, ok := address(p, pod, nodes[pod.Node], services[pod.Name]); ok {
			a.Addresses = a.Addresses[:min(len(a.Addresses), maxAddresses)]
			out[pod.Name] = a
		}
	}
	return out
}

func address(p *render.Pool, pod Pod, node Node, service *corev1.Service) (bundle.Address, bool) {
	port := uint16(pod.Addressing.Media)
	var nodePort uint16
	if service != nil && p.Exposure() == v1alpha1.ExposeNodePort && len(service.Spec.Ports) > 0 {
		nodePort = uint16(service.Spec.Ports[0].NodePort)
		port = nodePort
	}
	try := func(rule string, addresses []netip.AddrPort) (bundle.Address, bool) {
		return bundle.Address{Addresses: addresses, Rule: rule}, len(addresses) > 0
	}
	if a, ok := try(RuleAdvertise, parse(p.Spec.Exposure.Advertise, port)); ok {
		return a, true
	}
	if a, ok := try(RulePodAnnotation, parse(strings.Split(pod.Addressing.Annotated, ","), port)); ok {
		return a, true
	}
	switch p.Exposure() {
	case v1alpha1.ExposeClusterIP:
		return try(RulePodIP, parse([]string{pod.Addressing.IP}, port))
	case v1alpha1.ExposeLoadBalancer:
		if service == nil {
			return bundle.Address{}, false
		}
		var ips []string
		for _, in := range service.Status.LoadBalancer.Ingress {
			ips = append(ips, in.IP)
		}
		return try(RulePodService, parse(ips, port))
	case v1alpha1.ExposeNodePort:
		if nodePort == 0 {
			return bundle.Address{}, false
		}
	}
	if a, ok := try(RuleNodeExternalIP, with(node.External, port)); ok {
		return a, true
	}
	return try(RuleNodeInternalIP, with(node.Internal, port))
}

// parse reads addresses with or without a port. What is neither is left out.
func parse(texts []string, port uint16) []netip.AddrPort {
	var out []netip.AddrPort
	for _, text := range texts {
		text = strings.TrimSpace(text)
		if full, err := netip.ParseAddrPort(text); err == nil {
			out = append(out, full)
		} else if ip, err := netip.ParseAddr(text); err == nil {
			out = append(out, netip.AddrPortFrom(ip, port))
		}
	}
	return out
}

func with(ips []netip.Addr, port uint16) []netip.AddrPort {
	var out []netip.AddrPort
	for _, ip := range ips {
		out = append(out, netip.AddrPortFrom(ip, port))
	}
	return out
}
