package relay

import (
	"fmt"
	"net"
	"net/netip"
	"slices"
)

// maxListen bounds the addresses that are listened on by default.
const maxListen = 16

// listen opens one UDP socket, and one TCP listener of the same number, per address: so an answer always leaves from the address
// that was asked.
func (r *Relay) listen() error {
	addrs := r.opt.Listen
	if len(addrs) == 0 {
		addrs = localAddresses(8000)
	}
	if len(addrs) == 0 {
		return errNoAddress
	}
	for i, a := range addrs {
		if a.Port() == 0 && i > 0 {
			a = netip.AddrPortFrom(a.Addr(), r.port)
		}
		if err := r.listenOn(a); err != nil {
			return err
		}
	}
	return nil
}

func (r *Relay) listenOn(a netip.AddrPort) error {
	conn, err := net.ListenUDP("udp", net.UDPAddrFromAddrPort(a))
	if err != nil {
		return fmt.Errorf("listening for media on %s/udp: %w (is another process using the port? choose one with --media-port)", a, err)
	}
	s, err := r.engine.AddSocket(conn)
	if err != nil {
		_ = conn.Close()
		return err
	}
	r.sockets = append(r.sockets, s)
	r.port = s.Local().Port()
	if r.opt.NoTCP {
		return nil
	}
	l, err := net.ListenTCP("tcp", net.TCPAddrFromAddrPort(netip.AddrPortFrom(a.Addr(), r.port)))
	if err != nil {
		return fmt.Errorf("listening for media on %s/tcp: %w (is another process using the port? choose one with --media-port)", a, err)
	}
	r.tcp = append(r.tcp, l)
	return nil
}

// localAddresses lists the machine's unicast addresses, loopback last, without link-local ones.
func localAddresses(port uint16) []netip.AddrPort {
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

// candidates lists what a player is told: the advertised addresses, else those that are listened on. Loopback is told to those
// alone who asked over loopback, first.
func (r *Relay) candidates(askedOn netip.Addr) (udp, tcp []netip.AddrPort) {
	if askedOn.IsLoopback() {
		for _, s := range r.sockets {
			if s.Local().Addr() == askedOn.Unmap() {
				udp = append(udp, s.Local())
			}
		}
	}
	for _, a := range r.opt.Advertise {
		if a.Port() == 0 {
			a = netip.AddrPortFrom(a.Addr(), r.port)
		}
		udp = append(udp, a)
	}
	if len(r.opt.Advertise) == 0 {
		for _, s := range r.sockets {
			if !s.Local().Addr().IsLoopback() {
				udp = append(udp, s.Local())
			}
		}
	}
	if len(udp) == 0 { // a relay on loopback only
		for _, s := range r.sockets {
			udp = append(udp, s.Local())
		}
	}
	const most = 8
	udp = udp[:min(len(udp), most)]
	if !r.opt.NoTCP {
		tcp = udp
	}
	return udp, tcp
}
