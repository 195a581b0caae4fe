package relay

import (
	"fmt"
	"net"
	"net/netip"
	"slices"
)

// maxListen bounds the addresses that are listened on by default.
const maxListen = 16

// portTries is how many free ports are tried until one is free for UDP and TCP on all addresses.
const portTries = 20

// listen opens one UDP socket, and one TCP listener of the same number, per address: so an answer always leaves from
// the address that was asked.
func (r *Relay) listen() error {
	addrs := r.opt.Listen
	if len(addrs) == 0 {
		addrs = LocalAddresses(8000)
	}
	if len(addrs) == 0 {
		return errNoAddress
	}
	tries := 1
	if addrs[0].Port() == 0 {
		tries = portTries
	}
	var open ports
	var err error
	for range tries {
		if open, err = openPorts(addrs, !r.opt.NoTCP); err == nil {
			break
		}
	}
	if err != nil {
		return err
	}
	r.tcp = open.tcp
	for i, conn := range open.udp {
		s, err := r.engine.AddSocket(conn)
		if err != nil {
			open.udp = open.udp[i:]
			open.close()
			return err
		}
		r.sockets = append(r.sockets, s)
		r.port = s.Local().Port()
	}
	return nil
}

// ports are the open sockets of a relay.
type ports struct {
	udp []*net.UDPConn
	tcp []*net.TCPListener
}

func (p *ports) close() {
	for _, c := range p.udp {
		_ = c.Close()
	}
	for _, l := range p.tcp {
		_ = l.Close()
	}
}

// openPorts opens all addresses or none. Port 0 means the one that the first address got.
func openPorts(addrs []netip.AddrPort, tcp bool) (p ports, err error) {
	var port uint16
	for _, a := range addrs {
		if a.Port() == 0 {
			a = netip.AddrPortFrom(a.Addr(), port)
		}
		udp, err := net.ListenUDP("udp", net.UDPAddrFromAddrPort(a))
		if err != nil {
			p.close()
			return ports{}, listenError(a, "udp", err)
		}
		p.udp = append(p.udp, udp)
		port = udp.LocalAddr().(*net.UDPAddr).AddrPort().Port() //nolint:forcetypeassert // of a UDPConn
		if !tcp {
			continue
		}
		a = netip.AddrPortFrom(a.Addr(), port)
		l, err := net.ListenTCP("tcp", net.TCPAddrFromAddrPort(a))
		if err != nil {
			p.close()
			return ports{}, listenError(a, "tcp", err)
		}
		p.tcp = append(p.tcp, l)
	}
	return p, nil
}

func listenError(a netip.AddrPort, network string, err error) error {
	return fmt.Errorf(
		"listening for media on %s/%s: %w (is another process using the port? choose one with --media-port)",
		a,
		network,
		err,
	)
}

// LocalAddresses lists the machine's unicast addresses, loopback last, without link-local ones.
func LocalAddresses(port uint16) []netip.AddrPort {
	found, err := net.InterfaceAddrs()
	if err != nil {
		return nil
	}
	var out []netip.AddrPort
	for _, a := range found {
		prefix, err := netip.ParsePrefix(a.String())
		if err != nil {
			continue
		}
		if ip := prefix.Addr().Unmap(); !ip.IsLinkLocalUnicast() && !ip.IsMulticast() && !ip.IsUnspecified() {
			out = append(out, netip.AddrPortFrom(ip, port))
		}
	}
	slices.SortStableFunc(out, func(a, b netip.AddrPort) int { return rank(a.Addr()) - rank(b.Addr()) })
	return out[:min(len(out), maxListen)]
}

// rank orders addresses as players should try them: IPv4 first, loopback last.
func rank(ip netip.Addr) int {
	n := 0
	if ip.Is6() {
		n = 1
	}
	if ip.IsLoopback() {
		n += 2
	}
	return n
}

// reachable lists the addresses that are listened on. One that means all of the machine's is told as those.
func (r *Relay) reachable() []netip.AddrPort {
	var out []netip.AddrPort
	for _, s := range r.sockets {
		at := s.Local()
		if !at.Addr().IsUnspecified() {
			out = append(out, at)
			continue
		}
		for _, a := range LocalAddresses(at.Port()) {
			if !slices.Contains(out, a) {
				out = append(out, a)
			}
		}
	}
	return out
}

// Advertise changes the addresses that players are told from now on; see Options.Advertise. Those who watch notice
// nothing.
func (r *Relay) Advertise(addrs []netip.AddrPort) { r.advertise.Store(&addrs) }

func (r *Relay) advertised() []netip.AddrPort {
	if now := r.advertise.Load(); now != nil {
		return *now
	}
	return r.opt.Advertise
}

// candidates lists what a player is told: the advertised addresses, else those that are listened on. Loopback is told
// to those alone who asked over loopback, first.
func (r *Relay) candidates(askedOn netip.Addr) (udp, tcp []netip.AddrPort) {
	open := r.reachable()
	if askedOn.IsLoopback() {
		for _, a := range open {
			if a.Addr() == askedOn.Unmap() {
				udp = append(udp, a)
			}
		}
	}
	advertised := r.advertised()
	for _, a := range advertised {
		if a.Port() == 0 {
			a = netip.AddrPortFrom(a.Addr(), r.port)
		}
		udp = append(udp, a)
	}
	if len(advertised) == 0 {
		for _, a := range open {
			if !a.Addr().IsLoopback() {
				udp = append(udp, a)
			}
		}
	}
	if len(udp) == 0 { // a relay on loopback only
		udp = append(udp, open...)
	}
	const most = 8
	udp = udp[:min(len(udp), most)]
	if !r.opt.NoTCP {
		tcp = udp
	}
	return udp, tcp
}
