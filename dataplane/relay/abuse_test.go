package relay

import (
	"encoding/binary"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/pion/rtcp"
	"github.com/pion/stun/v4"

	"github.com/millrace/millrace/dataplane/relay/signal"
	"github.com/millrace/millrace/internal/contract/plan"
	"github.com/millrace/millrace/internal/testkit"
)

// offered joins by WHEP and gives the session and the answer.
func (s *stack) offered(offer string) (*session, string) {
	s.t.Helper()
	res, answer := s.request("POST", rtsHost, "/live/stream", "application/sdp", offer)
	if res.StatusCode != http.StatusCreated {
		s.t.Fatalf("%s: %s", res.Status, answer)
	}
	return s.relay.sessions.id(strings.TrimPrefix(res.Header.Get("Location"), signal.SessionPath)), answer
}

// check makes a connectivity check of a session's player.
func check(t *testing.T, s *session, password string, setters ...stun.Setter) []byte {
	t.Helper()
	all := append([]stun.Setter{stun.TransactionID, stun.BindingRequest, stun.NewUsername(s.ufrag + ":" + s.remoteUfrag)},
		setters...)
	m, err := stun.Build(append(all, stun.NewShortTermIntegrity(password), stun.Fingerprint)...)
	if err != nil {
		t.Fatal(err)
	}
	return m.Raw
}

// counter reads a metric of the relay.
func (s *stack) counter(name string) (sum float64) {
	s.t.Helper()
	families, err := s.registry.Gather()
	if err != nil {
		s.t.Fatal(err)
	}
	for _, f := range families {
		if f.GetName() == "millrace_relay_"+name {
			for _, m := range f.GetMetric() {
				sum += m.GetCounter().GetValue()
			}
			return sum
		}
	}
	s.t.Fatalf("there is no metric %s", name)
	return 0
}

func (s *stack) dialTCP(packet []byte) net.Conn {
	s.t.Helper()
	conn, err := net.Dial("tcp", s.relay.sockets[0].Local().String())
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() { _ = conn.Close() })
	if _, err := conn.Write(append(binary.BigEndian.AppendUint16(nil, uint16(len(packet))), packet...)); err != nil {
		s.t.Fatal(err)
	}
	return conn
}

// A connection belongs to a session when it has shown the password, not when it knows its name.
func TestTCPConnectionMustShowThePassword(t *testing.T) {
	s := newStack(t, nil)
	s.publish()
	one, _ := s.offered(newClient(t, nil).offer)
	other, _ := s.offered(newClient(t, nil).offer)
	if got := s.relay.packet(check(t, one, "wrong"), path{}, nil); got != nil {
		t.Error("a wrong password is taken")
	}
	if got := s.relay.packet(check(t, one, one.pwd), path{}, nil); got != one {
		t.Error("the right password is not taken")
	}
	if got := s.relay.packet(check(t, other, other.pwd), path{}, one); got != one {
		t.Error("a connection went over to another session")
	}
}

// A session has a bounded number of TCP connections, and all of them end with it.
func TestTCPConnectionsEndWithTheirSession(t *testing.T) {
	s := newStack(t, nil)
	s.publish()
	one, _ := s.offered(newClient(t, nil).offer)
	var kept []net.Conn
	for i := range maxConns + 4 {
		conn := s.dialTCP(check(t, one, one.pwd))
		_ = conn.SetReadDeadline(time.Now().Add(testkit.Patience()))
		if _, err := io.ReadFull(conn, make([]byte, 64)); err != nil { // the answer of the check
			t.Fatal(err)
		}
		if i < maxConns {
			testkit.Eventually(t, "the connection's session", func() bool {
				one.mu.Lock()
				defer one.mu.Unlock()
				return len(one.conns) == i+1
			})
			kept = append(kept, conn)
		} else if _, err := io.Copy(io.Discard, conn); err != nil {
			t.Errorf("connection %d stays: %v", i, err)
		}
	}
	one.close("test", nil)
	for i, conn := range kept {
		if _, err := io.Copy(io.Discard, conn); err != nil && !errors.Is(err, net.ErrClosed) &&
			strings.Contains(err.Error(), "timeout") {
			t.Errorf("connection %d outlives its session: %v", i, err)
		}
	}
}

// A player that checked TCP first, gave the connection up and chose UDP plays.
func TestCheckedTCPConnectionMayGo(t *testing.T) {
	s := newStack(t, nil)
	s.publish()
	c := newClient(t, nil)
	one, answer := s.offered(c.offer)
	conns := func() int {
		one.mu.Lock()
		defer one.mu.Unlock()
		return len(one.conns)
	}
	conn := s.dialTCP(check(t, one, one.pwd))
	testkit.Eventually(t, "the check", func() bool { return conns() == 1 })
	_ = conn.Close()
	testkit.Eventually(t, "the end of the connection", func() bool { return conns() == 0 })
	c.answer(answer)
	if !c.next().key {
		t.Error("the first packet is not of a key frame")
	}
}

// A panic in the code of one session ends that session, is counted, and nobody else notices.
func TestPanicEndsOneSession(t *testing.T) {
	s := newStack(t, nil)
	s.publish()
	c := newClient(t, nil)
	s.whep(c, rtsHost)
	c.next()
	broken, _ := s.offered(newClient(t, nil).offer)
	broken.mu.Lock()
	broken.auth = nil
	broken.mu.Unlock()
	conn, err := net.Dial("udp", s.relay.sockets[0].Local().String())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if _, err := conn.Write(check(t, broken, broken.pwd)); err != nil {
		t.Fatal(err)
	}
	testkit.Eventually(t, "the end of the broken session", func() bool { return s.relay.sessions.id(broken.id) == nil })
	if n := s.counter("panics_total"); n != 1 {
		t.Errorf("%v panics are counted", n)
	}
	s.gop(10)
	for range 30 {
		c.next()
	}
	if s.relay.Sessions() != 1 {
		t.Errorf("%d sessions", s.relay.Sessions())
	}
}

// What a player asks for again is bounded before it reaches the workers.
func TestFeedbackFloodIsBounded(t *testing.T) {
	s := newStack(t, nil)
	s.publish()
	c := newClient(t, nil)
	one, answer := s.offered(c.offer)
	c.answer(answer)
	c.next()
	nack := &rtcp.TransportLayerNack{MediaSSRC: one.local.VideoSSRC}
	for i := range 200 {
		nack.Nacks = append(nack.Nacks, rtcp.NackPair{PacketID: uint16(i * 17), LostPackets: 0xffff})
	}
	packets := []rtcp.Packet{nack, &rtcp.PictureLossIndication{MediaSSRC: one.local.VideoSSRC}}
	testkit.Eventually(t, "a bound", func() bool {
		if err := c.pc.WriteRTCP(packets); err != nil {
			t.Fatal(err)
		}
		return s.counter("feedback_dropped_total") > 1000
	})
	s.gop(10) // and the player still plays
	for range 30 {
		c.next()
	}
}

// A Plan that comes while a player joins is not overlooked.
func TestPlanThatComesDuringAJoin(t *testing.T) {
	s := newStack(t, nil)
	s.publish()
	req := httptest.NewRequest("POST", "http://"+rtsHost+"/live/stream", nil)
	ask := signal.Ask{Host: rtsHost, SDP: newClient(t, nil).offer}
	ask.Locate("/live/stream", "")
	target, refusal := s.relay.enter(&ask, req)
	if refusal != nil {
		t.Fatal(refusal)
	}
	s.current.Store(plan.NewIndex(&plan.Plan{}))
	if _, refusal = s.relay.join(req, "whep", target, &ask); refusal == nil || refusal.Status != http.StatusForbidden {
		t.Errorf("the player is let in: %v", refusal)
	}
	if s.relay.Sessions() != 0 {
		t.Error("its session stays")
	}
}

func TestNobodyJoinsARelayThatCloses(t *testing.T) {
	s := newStack(t, nil)
	s.publish()
	s.relay.Close()
	if res, body := s.request("POST", rtsHost, "/live/stream", "application/sdp",
		newClient(t, nil).offer); res.StatusCode != http.StatusServiceUnavailable {
		t.Errorf("%s %s", res.Status, body)
	}
	if n := s.relay.Sessions(); n != 0 {
		t.Errorf("%d sessions", n)
	}
}

// A consent check costs no allocation from the datagram to the answer, and neither does a request of ours.
func TestConsentDoesNotAllocate(t *testing.T) {
	s := newStack(t, nil)
	s.publish()
	one, _ := s.offered(newOffer(t))
	udp, err := net.Dial("udp", s.relay.sockets[0].Local().String())
	if err != nil {
		t.Fatal(err)
	}
	defer udp.Close()
	from := path{socket: s.relay.sockets[0], remote: udp.LocalAddr().(*net.UDPAddr).AddrPort()}
	packet := check(t, one, one.pwd)
	if s.relay.packet(packet, from, nil) != one {
		t.Fatal("the check was refused")
	}
	if n := testing.AllocsPerRun(200, func() { s.relay.packet(packet, from, nil) }); n > 0 {
		t.Errorf("%v allocations per check", n)
	}
	one.mu.Lock()
	pair := one.pairs[0]
	one.path, pair.answered = from, time.Now()
	one.mu.Unlock()
	ask := func() {
		pair.next = time.Time{}
		one.renew(time.Now())
	}
	if n := testing.AllocsPerRun(200, ask); n > 0 {
		t.Errorf("%v allocations per request of ours", n)
	}
}
