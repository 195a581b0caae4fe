package fanout

import (
	"net"
	"testing"

	"golang.org/x/sys/unix"
)

// What the network says of one viewer's path must not make the socket send to all others the slow way.
func TestSocketDoesNotFollowPathMTU(t *testing.T) {
	for address, option := range map[string][3]int{
		"127.0.0.1:0": {unix.IPPROTO_IP, unix.IP_MTU_DISCOVER, unix.IP_PMTUDISC_OMIT},
		"[::1]:0":     {unix.IPPROTO_IPV6, unix.IPV6_MTU_DISCOVER, unix.IPV6_PMTUDISC_OMIT},
	} {
		at, err := net.ResolveUDPAddr("udp", address)
		if err != nil {
			t.Fatal(err)
		}
		conn, err := net.ListenUDP("udp", at)
		if err != nil {
			t.Logf("no %s here: %v", address, err)
			continue
		}
		t.Cleanup(func() { _ = conn.Close() })
		s, err := newSocket(conn, 0, RungSegments)
		if err != nil {
			t.Fatal(err)
		}
		err = s.raw.Control(func(fd uintptr) {
			if got, err := unix.GetsockoptInt(int(fd), option[0], option[1]); err != nil || got != option[2] {
				t.Errorf("%s: %d, %v", address, got, err)
			}
		})
		if err != nil {
			t.Fatal(err)
		}
	}
}
