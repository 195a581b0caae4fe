package relay

import (
	"fmt"
	"net"
	"net/netip"
	"runtime"
	"sync"
	"testing"
	"time"
)

// Both ways of reading give the same datagrams with the same senders, over IPv4 and IPv6, and end when the socket is
// closed.
func TestReadingWaysAgree(t *testing.T) {
	ways := map[string]func(*net.UDPConn, func([]byte, netip.AddrPort)) error{
		"plain": func(c *net.UDPConn, take func([]byte, netip.AddrPort)) error {
			readPlain(c, take)
			return nil
		},
	}
	if runtime.GOOS == "linux" {
		ways["batches"] = readBatches
	}
	for _, address := range []string{"127.0.0.1", "::1", "::"} {
		for name, read := range ways {
			t.Run(name+" "+address, func(t *testing.T) {
				conn, err := net.ListenUDP("udp", &net.UDPAddr{IP: net.ParseIP(address)})
				if err != nil {
					t.Fatalf("%v; for ::1: sysctl -w net.ipv6.conf.lo.disable_ipv6=0", err)
				}
				to := conn.LocalAddr().(*net.UDPAddr)
				if to.IP.IsUnspecified() {
					to = &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1), Port: to.Port}
				}
				out, err := net.DialUDP("udp", nil, to)
				if err != nil {
					t.Fatal(err)
				}
				defer out.Close()
				local := out.LocalAddr().(*net.UDPAddr).AddrPort()
				local = netip.AddrPortFrom(local.Addr().Unmap(), local.Port())
				const datagrams = 150 // more than two batches
				for i := range datagrams {
					if _, err := fmt.Fprintf(out, "%0*d", i+1, i); err != nil {
						t.Fatal(err)
					}
				}
				var once sync.Once
				stop := time.AfterFunc(30*time.Second, func() { conn.Close() })
				defer stop.Stop()
				got := 0
				err = read(conn, func(b []byte, from netip.AddrPort) {
					if want := fmt.Sprintf("%0*d", got+1, got); string(b) != want || from != local {
						t.Errorf("datagram %d of %s is %q of %s", got, local, b, from)
					}
					if got++; got == datagrams {
						once.Do(func() { conn.Close() })
					}
				})
				if err != nil || got != datagrams {
					t.Fatalf("%d of %d datagrams, %v", got, datagrams, err)
				}
			})
		}
	}
}
