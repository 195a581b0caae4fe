package relay

import (
	"net"
	"sync/atomic"
	"testing"
	"time"

	"github.com/pion/rtcp"
	"github.com/pion/webrtc/v4"

	"github.com/millrace/millrace/internal/contract/plan"
	"github.com/millrace/millrace/internal/testkit"
)

// filtered is the network of one player: one UDP socket, whose owner may lose what comes in.
type filtered struct {
	net.PacketConn
	lose func(b []byte) bool
}

func (f *filtered) ReadFrom(b []byte) (int, net.Addr, error) {
	for {
		n, from, err := f.PacketConn.ReadFrom(b)
		if err != nil || !f.lose(b[:n]) {
			return n, from, err
		}
	}
}

// newClientAt is a player whose media has one address, at ip.
func newClientAt(t *testing.T, ip string, lose func(b []byte) bool) (*client, *net.UDPAddr) {
	t.Helper()
	conn, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.ParseIP(ip)})
	if err != nil {
		t.Fatal(err)
	}
	c := newClient(t, func(se *webrtc.SettingEngine) {
		se.SetICEUDPMux(webrtc.NewICEUDPMux(nil, &filtered{conn, lose}))
	})
	t.Cleanup(func() {
		_ = c.pc.Close()
		_ = conn.Close()
	})
	return c, conn.LocalAddr().(*net.UDPAddr)
}

func nothing([]byte) bool { return false }

// isRequest reports whether a packet is a binding request: our proof of an address, or of consent.
func isRequest(b []byte) bool { return len(b) > 1 && b[0] == 0 && b[1] == 1 }

// healthy is a viewer who notices what others do to it: it counts packets that are missing.
type healthy struct {
	*client
	last  uint16
	begun bool
}

// plays takes n packets, of which none is missing.
func (h *healthy) plays(n int) {
	h.t.Helper()
	for range n {
		p := h.next()
		if h.begun && p.seq != h.last+1 {
			h.t.Fatalf("packet %d came after %d", p.seq, h.last)
		}
		h.begun, h.last = true, p.seq
	}
}

// A stranger who may watch sends checks in the name of somebody else, before its handshake and while it plays: nothing
// of media and DTLS goes there, and in all at most three times what came.
func TestNothingGoesToForgedAddresses(t *testing.T) {
	s := newStack(t, nil)
	s.publish()
	good := &healthy{client: newClient(t, nil)}
	s.whep(good.client, rtsHost)
	good.next()
	s.keepWriting()
	attacker := newClient(t, nil)
	playing, answer := s.offered(attacker.offer)
	attacker.answer(answer)
	attacker.next()
	offer := newOffer(t)
	joining, _ := s.offered(offer)
	good.plays(1)
	for name, victim := range map[string]*byHand{
		"playing": s.byHand("127.0.0.2", playing, attacker.offer), "joining": s.byHand("127.0.0.3", joining, offer),
	} {
		for range 20 {
			victim.check(useCandidate{})
			victim.send([]byte{22, 254, 253, 0, 0, 0, 0, 0, 0, 0, 0, 0, 4, 1, 0, 0, 0}) // a handshake begins
			good.plays(10)
		}
		for range 100 { // what is cheap to send
			victim.send([]byte{22, 254, 253, 0})
			good.plays(20)
		}
		testkit.Eventually(t, "requests to "+name, func() bool { return victim.asked.Load() > 0 })
		good.plays(300)
		if n := len(victim.records); n > 0 || victim.media.Load() > 0 {
			t.Errorf("%s: %d records of DTLS and %d packets of media", name, n, victim.media.Load())
		}
		if out, in := victim.received.Load(), victim.sent.Load(); out > amplify*in {
			t.Errorf("%s: %d bytes for %d", name, out, in)
		}
	}
	if n := s.counter("moves_total"); n != 0 {
		t.Errorf("media moved %v times", n)
	}
}

// A check of another session in the name of a viewer's address takes nothing over: what the viewer reports is heard,
// and so is its end.
func TestForgedChecksTakeNoAddressOver(t *testing.T) {
	s := newStack(t, nil)
	s.publish()
	good := &healthy{}
	var at *net.UDPAddr
	good.client, at = newClientAt(t, "127.0.0.1", nothing)
	one, answer := s.offered(good.offer)
	good.answer(answer)
	good.next()
	s.keepWriting()
	attacker, _ := s.offered(newOffer(t))
	forged := path{socket: s.relay.sockets[0], remote: at.AddrPort()}
	for range 200 {
		s.relay.packet(check(t, attacker, attacker.pwd, useCandidate{}), forged, nil)
		good.plays(5)
	}
	if s.relay.sessions.addr(at.AddrPort()) != one {
		t.Error("the address belongs to another session")
	}
	before := s.counter("key_frame_requests_total")
	testkit.Eventually(t, "what the viewer asks for", func() bool {
		if err := good.pc.WriteRTCP([]rtcp.Packet{&rtcp.PictureLossIndication{MediaSSRC: one.local.VideoSSRC}}); err != nil {
			t.Fatal(err)
		}
		return s.counter("key_frame_requests_total") > before
	})
	if err := good.pc.Close(); err != nil {
		t.Fatal(err)
	}
	testkit.Eventually(t, "its end", func() bool { return s.metric("millrace_relay_leaves_total", "player left") == 1 })
}

// An answer counts from where the request went, with the id that it had, and the password of the offer.
func TestAnswersThatProveNothing(t *testing.T) {
	s := newStack(t, nil)
	s.publish()
	offer := newOffer(t)
	one, _ := s.offered(offer)
	victim := s.byHand("127.0.0.2", one, offer)
	testkit.Eventually(t, "a request", func() bool {
		victim.check()
		return victim.asked.Load() > 0
	})
	one.mu.Lock()
	random := one.pairs[0].random
	one.mu.Unlock()
	answer := func(random uint64, password string) []byte {
		request := one.asking.AppendRequest(nil, oursOf(one, random))
		return answerTo(t, request, password)
	}
	pwd := attribute(t, offer, "ice-pwd")
	elsewhere := path{socket: s.relay.sockets[0], remote: s.byHand("127.0.0.3", one, offer).address()}
	there := path{socket: s.relay.sockets[0], remote: victim.address()}
	s.relay.packet(answer(random+1, pwd), there, nil)
	s.relay.packet(answer(random, pwd), elsewhere, nil)
	wrong := answer(random, pwd)
	wrong[len(wrong)-20]++ // of MESSAGE-INTEGRITY
	s.relay.packet(wrong, there, nil)
	if one.mediaAddress().IsValid() || s.relay.sessions.addr(victim.address()) != nil {
		t.Error("the address is proven")
	}
	s.relay.packet(answer(random, pwd), there, nil)
	if s.relay.sessions.addr(victim.address()) != one {
		t.Error("the right answer proves nothing")
	}
}

// A viewer whose ClientHello comes before its address is proven does not have to send it again.
func TestTheFirstHelloIsKept(t *testing.T) {
	s := newStack(t, nil)
	s.publish()
	offer := newOffer(t)
	one, _ := s.offered(offer)
	h := s.byHand("127.0.0.1", one, offer)
	h.check(useCandidate{})
	testkit.Eventually(t, "a request", func() bool { return h.asked.Load() > 0 })
	h.send(clientHello(t))
	testkit.Eventually(t, "a ClientHello that waits", func() bool {
		s.relay.sessions.mu.RLock()
		defer s.relay.sessions.mu.RUnlock()
		u := s.relay.sessions.unproven[h.address()]
		return u != nil && len(u.records) == 1
	})
	h.answers.Store(true)
	testkit.Eventually(t, "the answer of DTLS", func() bool {
		h.check(useCandidate{})
		return len(h.records) > 0
	})
}

// Requests of ours that are lost cost a join time, and no more.
func TestJoinsWhenRequestsAreLost(t *testing.T) {
	s := newStack(t, nil)
	s.publish()
	var lost atomic.Int32
	c, _ := newClientAt(t, "127.0.0.1", func(b []byte) bool { return isRequest(b) && lost.Add(1) <= 3 })
	s.whep(c, rtsHost)
	if !c.next().key {
		t.Error("the first packet is not of a key frame")
	}
	if lost.Load() <= 3 {
		t.Errorf("%d requests came", lost.Load())
	}
}

// Who does not answer any more gets no media any more, whatever checks come in its name.
func TestMediaEndsWithoutConsent(t *testing.T) {
	s := newStack(t, func(o *Options) { o.SilenceTimeout = 5 * time.Second })
	s.publish()
	good := &healthy{client: newClient(t, nil)}
	s.whep(good.client, rtsHost)
	good.next()
	s.keepWriting()
	var deaf atomic.Bool
	var asked atomic.Int32
	c, at := newClientAt(t, "127.0.0.1", func(b []byte) bool {
		if isRequest(b) {
			asked.Add(1)
			return deaf.Load()
		}
		return false
	})
	one, answer := s.offered(c.offer)
	c.answer(answer)
	c.next()
	joined := asked.Load()
	testkit.Eventually(t, "requests while it plays", func() bool { return asked.Load() >= joined+2 })
	deaf.Store(true)
	from := path{socket: s.relay.sockets[0], remote: at.AddrPort()}
	testkit.Eventually(t, "the end of media", func() bool {
		s.relay.packet(check(t, one, one.pwd, useCandidate{}), from, nil)
		good.plays(10)
		return s.metric("millrace_relay_leaves_total", "no consent") == 1
	})
	good.plays(100)
}

// A Plan that takes the address away that media goes to ends the session, though the one that asked stays allowed.
func TestPlansHoldForMediaAddresses(t *testing.T) {
	s := newStack(t, nil)
	list := func(ips ...string) {
		p := testPlan()
		p.Play = append(p.Play, plan.PlayDomain{Hostname: "near.example.com", Type: plan.RTS, Space: rtsHost, IPs: ips})
		s.current.Store(plan.NewIndex(p))
	}
	list("127.0.0.1", "127.0.0.2")
	s.publish()
	s.keepWriting()
	good := newClient(t, nil)
	s.whep(good, "near.example.com")
	good.next()
	c, _ := newClientAt(t, "127.0.0.2", nothing)
	s.whep(c, "near.example.com")
	c.next()
	list("127.0.0.1")
	testkit.Eventually(t, "the end of the session", func() bool {
		return s.metric("millrace_relay_leaves_total", "right lost") == 1
	})
	good.drain()
	good.next()
	if n := s.relay.Sessions(); n != 1 {
		t.Errorf("%d sessions", n)
	}
}
