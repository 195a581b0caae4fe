package relay

import (
	"net/netip"
	"testing"
)

// A relay that listens on all addresses tells players addresses that they can reach, and plays over them.
func TestListeningOnAllAddresses(t *testing.T) {
	for _, all := range []string{"0.0.0.0:0", "[::]:0"} {
		s := newStack(t, func(o *Options) { o.Listen = []netip.AddrPort{netip.MustParseAddrPort(all)} })
		udp, tcp := s.relay.candidates(netip.MustParseAddr("127.0.0.1"))
		if len(udp) == 0 || len(tcp) == 0 || udp[0] != netip.AddrPortFrom(netip.MustParseAddr("127.0.0.1"), s.relay.Port()) {
			t.Errorf("%s: %v, %v", all, udp, tcp)
		}
		for _, a := range udp {
			if a.Addr().IsUnspecified() {
				t.Errorf("%s: players are told %s", all, a)
			}
		}
		s.publish()
		c := newClient(t, nil)
		s.whep(c, rtsHost)
		if !c.next().key {
			t.Error("the first packet is not of a key frame")
		}
	}
}

func TestCandidates(t *testing.T) {
	s := newStack(t, func(o *Options) {
		o.Advertise = []netip.AddrPort{
			netip.MustParseAddrPort("198.51.100.7:0"),
			netip.MustParseAddrPort("[2001:db8::7]:9000"),
		}
		o.NoTCP = true
	})
	port := s.relay.Port()
	udp, tcp := s.relay.candidates(netip.MustParseAddr("192.0.2.1"))
	if len(udp) != 2 || udp[0] != netip.AddrPortFrom(netip.MustParseAddr("198.51.100.7"), port) || udp[1].Port() != 9000 ||
		len(tcp) != 0 {
		t.Errorf("%v, %v", udp, tcp)
	}
	if udp, _ := s.relay.candidates(netip.MustParseAddr("127.0.0.1")); len(udp) != 3 || !udp[0].Addr().IsLoopback() {
		t.Errorf("asked over loopback: %v", udp)
	}
}
