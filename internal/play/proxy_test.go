package play_test

import (
	"encoding/binary"
	"fmt"
	"net"
	"net/netip"
	"regexp"
	"sync"
	"testing"
)

// lossyProxy stands between viewers and the server's UDP port. It drops video packets by a rule and counts what it
// dropped.
type lossyProxy struct {
	front  *net.UDPConn
	server *net.UDPAddr
	lose   func(n int) bool

	mu      sync.Mutex
	back    map[netip.AddrPort]*net.UDPConn
	seen    map[uint64]bool // SSRC and sequence number
	payload uint8           // type of the video packets; the first seen that is big enough
	sent    int
	dropped int
}

func newLossyProxy(t *testing.T, server *net.UDPAddr, lose func(int) bool) *lossyProxy {
	t.Helper()
	front, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	p := &lossyProxy{
		front:  front,
		server: server,
		lose:   lose,
		back:   map[netip.AddrPort]*net.UDPConn{},
		seen:   map[uint64]bool{},
	}
	go p.forward()
	t.Cleanup(func() {
		_ = front.Close()
		p.mu.Lock()
		defer p.mu.Unlock()
		for _, conn := range p.back {
			_ = conn.Close()
		}
	})
	return p
}

// rewrite puts the proxy's port in the place of the server's in all UDP candidates of an answer: pion uses those for
// RTCP as well.
func (p *lossyProxy) rewrite(sdp string) string {
	find := regexp.MustCompile(fmt.Sprintf(`(?i)(candidate:\S+ \d udp \d+ 127\.0\.0\.1) %d `, p.server.Port))
	return find.ReplaceAllString(sdp, fmt.Sprintf("$1 %d ", p.front.LocalAddr().(*net.UDPAddr).Port))
}

// passed is how many video packets were sent and how many of them were dropped.
func (p *lossyProxy) passed() (sent, dropped int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.sent, p.dropped
}

func (p *lossyProxy) forward() {
	buffer := make([]byte, 2048)
	for {
		n, from, err := p.front.ReadFromUDPAddrPort(buffer)
		if err != nil {
			return
		}
		p.mu.Lock()
		conn := p.back[from]
		if conn == nil {
			if conn, err = net.DialUDP("udp4", nil, p.server); err != nil {
				p.mu.Unlock()
				return
			}
			p.back[from] = conn
			go p.backward(conn, from)
		}
		p.mu.Unlock()
		_, _ = conn.Write(buffer[:n])
	}
}

func (p *lossyProxy) backward(conn *net.UDPConn, to netip.AddrPort) {
	buffer := make([]byte, 2048)
	for {
		n, err := conn.Read(buffer)
		if err != nil {
			return
		}
		if !p.drops(buffer[:n]) {
			_, _ = p.front.WriteToUDPAddrPort(buffer[:n], to)
		}
	}
}

// drops asks the rule for the first transmission of a video packet; everything else passes.
func (p *lossyProxy) drops(data []byte) bool {
	if len(data) < 12 || data[0]>>6 != 2 || (data[1] >= 192 && data[1] <= 223) {
		return false
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	kind := data[1] & 0x7f
	if p.payload == 0 && len(data) > 1000 {
		p.payload = kind
	}
	id := uint64(binary.BigEndian.Uint32(data[8:]))<<16 | uint64(binary.BigEndian.Uint16(data[2:]))
	if kind != p.payload || p.seen[id] {
		return false
	}
	p.seen[id] = true
	p.sent++
	if !p.lose(p.sent) {
		return false
	}
	p.dropped++
	return true
}
