package relay

import (
	"bytes"
	"encoding/binary"
	"regexp"
	"runtime"
	"testing"

	"github.com/pion/rtcp"
	"github.com/pion/webrtc/v4"

	"github.com/millrace/millrace/dataplane/relay/secure"
	"github.com/millrace/millrace/internal/testkit"
)

// stacks counts how often a text is on the stacks of all goroutines. The clients are in this process too.
func stacks(text string) int {
	b := make([]byte, 8<<20)
	return bytes.Count(b[:runtime.Stack(b, true)], []byte(text))
}

// ours is how many goroutines read for DTLS at our end, or end it.
func ours() int { return stacks("relay/secure.(*") }

// speak sends an authenticated report to the relay, as players do all the time.
func (c *client) speak() {
	c.t.Helper()
	if err := c.pc.WriteRTCP([]rtcp.Packet{&rtcp.ReceiverReport{SSRC: 1}}); err != nil {
		c.t.Fatal(err)
	}
}

// parked joins, and waits until nothing is there for the player but its keys.
func (s *stack) parked(change func(*webrtc.SettingEngine)) (*client, *session) {
	s.t.Helper()
	c := newClient(s.t, change)
	path := s.whep(c, rtsHost)
	c.next()
	viewer := s.relay.sessions.id(sessionID(path))
	if viewer == nil {
		s.t.Fatalf("no session %s", path)
	}
	testkit.Eventually(s.t, "parking", func() bool {
		c.speak()
		viewer.mu.Lock()
		dtls := viewer.dtls
		viewer.mu.Unlock()
		return dtls.Parked() && ours() == 0
	})
	return c, viewer
}

func sessionID(path string) string { return regexp.MustCompile(`[^/?]+$`).FindString(path) }

// Once a player is connected, no goroutine is there for it. It plays on; its end is seen all the same.
func TestNoGoroutinePerViewer(t *testing.T) {
	for name, change := range map[string]func(*webrtc.SettingEngine){
		"UDP": nil, "TCP": func(se *webrtc.SettingEngine) {
			se.SetNetworkTypes([]webrtc.NetworkType{webrtc.NetworkTypeTCP4})
		},
	} {
		t.Run(name, func(t *testing.T) {
			s := newStack(t, nil)
			s.publish()
			s.keepWriting()
			c, _ := s.parked(change)
			testkit.Eventually(
				t,
				"one state machine of DTLS, the client's",
				func() bool { return stacks("handshakeFSM).Run(") == 1 },
			)
			c.drain()
			c.next()
			if err := c.pc.Close(); err != nil {
				t.Fatal(err)
			}
			testkit.Eventually(t, "the end of the session", func() bool { return s.relay.Sessions() == 0 })
			if n := s.metric("millrace_relay_leaves_total", "player left"); n != 1 && name == "UDP" {
				t.Errorf("%g players left", n)
			}
		})
	}
}

// The end of the stream is told to players whose connection is parked, by a close_notify that they accept.
func TestParkedPlayersAreToldTheEnd(t *testing.T) {
	s := newStack(t, nil)
	s.publish()
	var players []*client
	for range 3 {
		c, _ := s.parked(nil)
		players = append(players, c)
	}
	s.pub.End()
	for _, c := range players {
		c.awaitClosed()
	}
	testkit.Eventually(t, "the end of the sessions", func() bool { return s.relay.Sessions() == 0 })
}

// closing remembers which close notice a transport was asked for.
type closing struct {
	transport
	asked chan secure.Notice
}

func (c *closing) Close(n secure.Notice) {
	c.asked <- n
	c.transport.Close(n)
}

// What a viewer is told by depends on what it is to do: close_notify when the stream is over, a fatal alert, at which
// browsers join again by themselves, when the relay goes. Each is sent more than once, under one sequence number. What
// the records hold is tested in package secure.
func TestPlayersAreToldWhetherToComeAgain(t *testing.T) {
	for name, c := range map[string]struct {
		end  func(*stack)
		want secure.Notice
	}{
		"the stream ends":  {func(s *stack) { s.pub.End() }, secure.StreamOver},
		"the relay drains": {func(s *stack) { _ = s.relay.Drain(t.Context(), 0) }, secure.JoinAgain},
	} {
		t.Run(name, func(t *testing.T) {
			s := newStack(t, nil)
			s.publish()
			_, viewer := s.parked(nil)
			asked := make(chan secure.Notice, 1)
			viewer.mu.Lock()
			viewer.dtls = &closing{viewer.dtls, asked}
			viewer.mu.Unlock()
			told := overhear(t, viewer)
			c.end(s)
			first := told()
			if got := <-asked; got != c.want {
				t.Errorf("told %v, want %v", got, c.want)
			}
			for range 2 {
				if got := told(); !bytes.Equal(got, first) {
					t.Errorf("then told %x, want %x again", got, first)
				}
			}
		})
	}
}

// What only looks like an alert of the player, from anybody, changes nothing, and the player's own is heard.
func TestForgedAlertsChangeNothing(t *testing.T) {
	s := newStack(t, nil)
	s.publish()
	s.keepWriting()
	c, viewer := s.parked(nil)
	forged := append([]byte{21, 0xfe, 0xfd, 0, 1, 0, 0, 0, 0, 0, 99, 0, 26}, make([]byte, 26)...)
	for i := range 100 {
		binary.BigEndian.PutUint16(forged[9:], uint16(100+i))
		viewer.handleDTLS(forged, viewer.path)
	}
	for _, record := range [][]byte{{21}, {22, 0xfe, 0xfd, 0, 0, 0, 0, 0, 0, 0, 9, 0, 0}, make([]byte, 60),
		{21, 0xfe, 0xfd, 0, 0, 0, 0, 0, 0, 0, 9, 0, 2, 1, 0}} {
		viewer.handleDTLS(record, viewer.path)
	}
	if !viewer.dtls.Parked() || s.relay.Sessions() != 1 {
		t.Fatal("a forged alert did something")
	}
	c.drain()
	c.next()
	if err := c.pc.Close(); err != nil {
		t.Fatal(err)
	}
	testkit.Eventually(t, "the end of the session", func() bool { return s.relay.Sessions() == 0 })
	if n := s.metric("millrace_relay_leaves_total", "player left"); n != 1 {
		t.Errorf("%g players left", n)
	}
}

// Players that come and go while their connections are being parked.
func TestParkingWhilePlayersLeave(t *testing.T) {
	s := newStack(t, nil)
	s.publish()
	s.keepWriting()
	for i := range 30 {
		c := newClient(t, nil)
		session := s.whep(c, rtsHost)
		c.next()
		c.speak()
		if i%2 == 0 {
			if err := c.pc.Close(); err != nil {
				t.Fatal(err)
			}
			continue
		}
		s.request("DELETE", rtsHost, session, "", "")
		c.awaitClosed()
	}
	testkit.Eventually(t, "the end of the sessions", func() bool { return s.relay.Sessions() == 0 })
	testkit.Eventually(t, "the end of all that served them", func() bool { return ours() == 0 })
}
