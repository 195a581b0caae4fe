package fleet

import (
	"cmp"
	"net/netip"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"

	"github.com/millrace/millrace/api/v1alpha1"
	"github.com/millrace/millrace/controllers/render"
	"github.com/millrace/millrace/internal/contract"
)

// maxEndpoints in a status.
const maxEndpoints = 32

// Endpoints says where clients may connect to over TCP: at what the public Service was given, else, where pods take
// ports of nodes, at those nodes; and at the Service from inside of the cluster.
func Endpoints(p *render.Pool, service *corev1.Service, pods []Pod, nodes map[string]Node) []v1alpha1.Endpoint {
	if service == nil {
		return nil
	}
	var out []v1alpha1.Endpoint
	add := func(name, address string, port int32) {
		if address != "" && port != 0 && len(out) < maxEndpoints {
			out = append(out, v1alpha1.Endpoint{Protocol: strings.ToUpper(name), Address: address, Port: port})
		}
	}
	for _, port := range service.Spec.Ports {
		for _, in := range service.Status.LoadBalancer.Ingress {
			add(port.Name, cmp.Or(in.IP, in.Hostname), port.Port)
		}
	}
	for _, pod := range pods {
		if !pod.Ready || pod.Terminating {
			continue
		}
		at := first(nodes[pod.Node])
		for _, port := range service.Spec.Ports {
			switch {
			case p.Exposure() == v1alpha1.ExposeNodePort:
				add(port.Name, at, port.NodePort)
			case pod.Addressing.OnNode:
				add(port.Name, at, pod.Addressing.port(port.Name))
			}
		}
	}
	for _, port := range service.Spec.Ports {
		add(port.Name, service.Name+"."+service.Namespace+".svc", port.Port)
	}
	return unique(out)
}

// unique leaves each endpoint once, in the order of the first.
func unique(list []v1alpha1.Endpoint) []v1alpha1.Endpoint {
	seen := map[v1alpha1.Endpoint]bool{}
	return slices.DeleteFunc(list, func(e v1alpha1.Endpoint) bool {
		was := seen[e]
		seen[e] = true
		return was
	})
}

// first address of a node; an external one when it has one.
func first(n Node) string {
	for _, ips := range [][]netip.Addr{n.External, n.Internal} {
		if len(ips) > 0 {
			return ips[0].String()
		}
	}
	return ""
}

func (a *Addressing) port(name string) int32 {
	switch name {
	case contract.NameRTMP:
		return a.RTMP
	case contract.NameRTMPS:
		return a.RTMPS
	case contract.NameHTTP:
		return a.HTTP
	case contract.NameHTTPS:
		return a.HTTPS
	}
	return 0
}
