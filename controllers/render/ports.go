package render

import (
	corev1 "k8s.io/api/core/v1"

	"github.com/millrace/millrace/api/v1alpha1"
	"github.com/millrace/millrace/internal/contract"
)

// slotOffset is added to every port on a node while a pool is in slot 1. Under HostPort and HostNetwork the pods of a
// new template are in the other slot, so that they start beside those that drain, on the same nodes.
const slotOffset = 100

// Listener is a port of a pod.
type Listener struct {
	Name     string
	Protocol corev1.Protocol
	// Port that the process listens on.
	Port int32
	// Host port on the node; 0: none.
	Host int32
	// Public ports are for clients outside; the others are for other pods and the kubelet.
	Public bool
	// Flag that tells the process the port.
	Flag string
}

// onNode reports whether the exposure takes ports of nodes.
func (p *Pool) onNode() bool {
	e := p.Exposure()
	return e == v1alpha1.ExposeHostPort || e == v1alpha1.ExposeHostNetwork
}

func (p *Pool) hostNetwork() bool { return p.Exposure() == v1alpha1.ExposeHostNetwork }

// roleIndex keeps the internal ports of roles apart that share the network of a node.
func roleIndex(role contract.Role) int32 {
	switch role {
	case contract.Relay:
		return 1
	case contract.Edge:
		return 2
	case contract.Transcoder:
		return 3
	case contract.Recorder:
		return 4
	default:
		return 0
	}
}

// hostDefault is the port on nodes when the class names none. An edge stays out of the way of an ingest and a relay on
// the same node.
func hostDefault(role contract.Role, port int32) int32 {
	if role == contract.Edge {
		return port + 10
	}
	return port
}

// Listeners of the pool's pods in one fixed order. Media has two, UDP and TCP of the same number.
func (p *Pool) Listeners() []Listener {
	chosen := p.Spec.Exposure.Ports
	rtmp := p.public(contract.NameRTMP, contract.FlagRTMPPort, contract.PortRTMP, chosen.RTMP)
	rtmps := p.public(contract.NameRTMPS, contract.FlagRTMPSPort, contract.PortRTMPS, chosen.RTMPS)
	http := p.public(contract.NameHTTP, contract.FlagHTTPPort, contract.PortHTTP, chosen.HTTP)
	https := p.public(contract.NameHTTPS, contract.FlagHTTPSPort, contract.PortHTTPS, chosen.HTTPS)
	var out []Listener
	switch p.Role {
	case contract.Ingest:
		out = []Listener{rtmp, rtmps}
	case contract.Relay:
		udp := p.public(contract.NameMediaUDP, contract.FlagMediaPort, contract.PortMedia, chosen.Media)
		tcp := udp
		udp.Protocol, tcp.Name, tcp.Flag = corev1.ProtocolUDP, contract.NameMediaTCP, ""
		out = []Listener{http, https, udp, tcp}
	case contract.Edge:
		out = []Listener{rtmp, rtmps, http, https}
	}
	return append(out,
		p.internal(contract.NameInternal, contract.FlagInternalPort, contract.PortInternal),
		p.internal(contract.NameRTSP, contract.FlagRTSPPort, contract.PortRTSP),
		p.internal(contract.NameAdmin, contract.FlagAdminPort, contract.PortAdmin),
	)
}

func (p *Pool) public(name, flag string, standard int32, chosen v1alpha1.Port) Listener {
	l := Listener{Name: name, Protocol: corev1.ProtocolTCP, Port: standard, Public: true, Flag: flag}
	if chosen != 0 {
		l.Port = int32(chosen)
	}
	if p.onNode() {
		l.Host = hostDefault(p.Role, standard)
		if chosen != 0 {
			l.Host = int32(chosen)
		}
		l.Host += slotOffset * p.Pinned.Slot
	}
	if p.hostNetwork() {
		l.Port = l.Host
	}
	return l
}

func (p *Pool) internal(name, flag string, port int32) Listener {
	l := Listener{Name: name, Protocol: corev1.ProtocolTCP, Port: port, Flag: flag}
	if p.hostNetwork() {
		l.Port = port + roleIndex(p.Role) + slotOffset*p.Pinned.Slot
		l.Host = l.Port
	}
	return l
}

// Listener returns one by its name; false when the role does not have it.
func (p *Pool) Listener(name string) (Listener, bool) {
	for _, l := range p.Listeners() {
		if l.Name == name {
			return l, true
		}
	}
	return Listener{}, false
}
