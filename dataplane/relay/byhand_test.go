package relay

import (
	"bytes"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/pion/stun/v4"

	"github.com/millrace/millrace/dataplane/relay/ice"
	"github.com/millrace/millrace/internal/testkit"
)

// byHand is a UDP address that speaks STUN by itself, for one session: as its viewer, or as a victim in whose name
// somebody else sends checks, who does not answer.
type byHand struct {
	t    *testing.T
	conn *net.UDPConn
	one  *session
	pwd  string // of the offer

	answers  atomic.Bool // requests of the relay
	sent     atomic.Int64
	received atomic.Int64
	asked    atomic.Int64 // requests of the relay
	media    atomic.Int64 // packets of media
	records  chan []byte  // of DTLS
	close    func()
}

// byHand opens an address at ip for a session.
func (s *stack) byHand(ip string, one *session, offer string) *byHand {
	s.t.Helper()
	relay := net.UDPAddrFromAddrPort(s.relay.sockets[0].Local())
	conn, err := net.DialUDP("udp4", &net.UDPAddr{IP: net.ParseIP(ip)}, relay)
	if err != nil {
		s.t.Fatal("binding a loopback address:", err)
	}
	h := &byHand{
		t: s.t, conn: conn, one: one, pwd: attribute(s.t, offer, "ice-pwd"), records: make(chan []byte, 1000),
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		h.read()
	}()
	h.close = sync.OnceFunc(func() {
		_ = conn.Close()
		<-done
	})
	s.t.Cleanup(h.close)
	return h
}

func (h *byHand) address() netip.AddrPort { return h.conn.LocalAddr().(*net.UDPAddr).AddrPort() }

func (h *byHand) send(b []byte) {
	if n, err := h.conn.Write(b); err == nil {
		h.sent.Add(int64(n))
	}
}

// check sends a connectivity check with the right password.
func (h *byHand) check(setters ...stun.Setter) { h.send(check(h.t, h.one, h.one.pwd, setters...)) }

func (h *byHand) read() {
	b := make([]byte, maxPacket)
	for {
		n, err := h.conn.Read(b)
		if err != nil {
			return
		}
		h.received.Add(int64(n))
		switch p := b[:n]; {
		case n > 1 && p[0] == 0 && p[1] == 1:
			h.asked.Add(1)
			if h.answers.Load() {
				h.send(answerTo(h.t, p, h.pwd))
			}
		case n > 0 && p[0] >= 20 && p[0] < 64:
			select {
			case h.records <- bytes.Clone(p):
			default:
			}
		case n > 0 && p[0] >= 128:
			h.media.Add(1)
		}
	}
}

// answerTo is the answer of a full agent to a binding request.
func answerTo(t *testing.T, request []byte, password string) []byte {
	m := &stun.Message{Raw: bytes.Clone(request)}
	if err := m.Decode(); err != nil {
		t.Error("a request of the relay:", err)
		return nil
	}
	if err := stun.NewShortTermIntegrity(password).Check(m); err != nil {
		t.Error("a request of the relay:", err)
	}
	answer, err := stun.Build(m, stun.BindingSuccess, &stun.XORMappedAddress{IP: net.IPv4(127, 0, 0, 1), Port: 1},
		stun.NewShortTermIntegrity(password), stun.Fingerprint)
	if err != nil {
		t.Error(err)
		return nil
	}
	return answer.Raw
}

// proved checks and answers until the address is the session's.
func (h *byHand) proved(s *stack) *byHand {
	h.t.Helper()
	h.answers.Store(true)
	testkit.Eventually(h.t, "the proof of an address", func() bool {
		h.check()
		return s.relay.sessions.addr(h.address()) == h.one
	})
	return h
}

// oursOf is a request to a session's player.
func oursOf(s *session, random uint64) *ice.Ours {
	return &ice.Ours{RemoteUfrag: s.remoteUfrag, LocalUfrag: s.ufrag, Tag: s.tag, Random: random}
}
