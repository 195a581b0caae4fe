package relay

import (
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/pion/webrtc/v4"
	"go.uber.org/goleak"

	"github.com/millrace/millrace/internal/contract/plan"
	"github.com/millrace/millrace/internal/testkit"
)

// idle waits until nothing of any player is left: no session, no feed, no goroutine but those of before.
func (s *stack) idle(before goleak.Option) {
	s.t.Helper()
	testkit.Eventually(s.t, "an empty relay", func() bool {
		s.web.Client().CloseIdleConnections()
		t := s.relay.sessions
		t.mu.RLock()
		left := len(t.byID) + len(t.byUfrag) + len(t.byTag) + len(t.byAddr) + len(t.unproven) +
			s.relay.door.Viewers(plan.RTS)
		t.mu.RUnlock()
		return left == 0 && s.relay.feeds.count() == 0
	})
	var err error
	testkit.Eventually(s.t, "the end of all goroutines", func() bool {
		s.web.Client().CloseIdleConnections()
		err = goleak.Find(before)
		return err == nil
	})
}

// Joins and leaves of all kinds, and those that stop half way, leave nothing behind.
func TestChurnLeavesNothing(t *testing.T) {
	s := newStack(t, func(o *Options) { o.JoinTimeout, o.FeedLinger = 3*time.Second, time.Millisecond })
	s.publish()
	s.request("GET", rtsHost, "/live/stream", "", "") // what the HTTP server keeps is there now
	s.idle(goleak.IgnoreCurrent())
	before := goleak.IgnoreCurrent()
	offer := newOffer(t)
	udp, err := net.Dial("udp", s.relay.sockets[0].Local().String())
	if err != nil {
		t.Fatal(err)
	}
	defer udp.Close()
	for i := range 200 {
		if i%10 == 0 { // plays, and leaves in one of three ways
			c := newClient(t, func(se *webrtc.SettingEngine) {
				if i%20 == 0 {
					se.SetNetworkTypes([]webrtc.NetworkType{webrtc.NetworkTypeTCP4})
				}
			})
			session := s.whep(c, rtsHost)
			c.next()
			if i%3 == 0 {
				s.request("DELETE", rtsHost, session, "", "")
			}
			if i%3 == 1 {
				s.relay.sessions.id(session[len("/-/whep/"):]).close("test", nil)
			}
			if err := c.pc.Close(); err != nil {
				t.Fatal(err)
			}
			continue
		}
		one, _ := s.offered(offer)
		switch i % 5 {
		case 1: // no word more
		case 2: // a check, and no word more
			_, _ = udp.Write(check(t, one, one.pwd))
		case 3: // a check and half a handshake
			h := s.byHand("127.0.0.1", one, offer).proved(s)
			h.send([]byte{22, 254, 253, 0, 0, 0, 0, 0, 0, 0, 0, 0, 4, 1, 0, 0, 0})
			h.close()
		case 4: // the same over TCP, and the connection stays open
			conn := s.dialTCP(check(t, one, one.pwd))
			_, _ = conn.Write([]byte{0, 17, 22, 254, 253, 0, 0, 0, 0, 0, 0, 0, 0, 0, 4, 1, 0, 0, 0})
		}
		if i%4 == 0 {
			var many sync.WaitGroup
			for range 4 { // closed from several sides at once
				many.Go(func() { one.close("test", nil) })
			}
			many.Wait()
		}
	}
	s.idle(before)
}

// newOffer is an offer of a player that never connects.
func newOffer(t *testing.T) string {
	t.Helper()
	c := newClient(t, nil)
	if err := c.pc.Close(); err != nil {
		t.Fatal(err)
	}
	return c.offer
}

// Players that join while the stream ends are refused, or told of the end; none stays.
func TestJoinsWhileTheStreamEnds(t *testing.T) {
	s := newStack(t, func(o *Options) { o.JoinTimeout, o.FeedLinger = time.Second, time.Millisecond })
	before := goleak.IgnoreCurrent()
	s.publish()
	players := []*client{newClient(t, nil), newClient(t, nil), newClient(t, nil)}
	offer := newOffer(t)
	var joins sync.WaitGroup
	start := make(chan struct{})
	for i := range 50 {
		joins.Go(func() {
			<-start
			text := offer
			if i < len(players) {
				text = players[i].offer
			}
			req, err := http.NewRequestWithContext(
				t.Context(),
				http.MethodPost,
				s.web.URL+"/live/stream",
				strings.NewReader(text),
			)
			if err != nil {
				t.Error(err)
				return
			}
			req.Host = rtsHost
			req.Header.Set("Content-Type", "application/sdp")
			res, err := s.web.Client().Do(req)
			if err != nil {
				t.Error(err)
				return
			}
			_ = res.Body.Close()
			if res.StatusCode != http.StatusCreated && res.StatusCode != http.StatusConflict {
				t.Errorf("%s", res.Status)
			}
		})
	}
	joins.Go(func() {
		<-start
		testkit.Eventually(t, "some joins", func() bool { return s.relay.Sessions() > 5 })
		s.pub.End()
	})
	close(start)
	joins.Wait()
	for _, c := range players {
		if err := c.pc.Close(); err != nil {
			t.Error(err)
		}
	}
	s.idle(before)
}

func TestIPv6Plays(t *testing.T) {
	l, err := net.Listen("tcp6", "[::1]:0")
	if err != nil {
		t.Skip("this machine has no IPv6 loopback: sysctl -w net.ipv6.conf.lo.disable_ipv6=0")
	}
	_ = l.Close()
	for name, network := range map[string]webrtc.NetworkType{"udp": webrtc.NetworkTypeUDP6,
		"tcp": webrtc.NetworkTypeTCP6} {
		s := newStack(t, func(o *Options) {
			o.Listen = []netip.AddrPort{netip.MustParseAddrPort("[::1]:0"), netip.MustParseAddrPort("127.0.0.1:0")}
		})
		s.publish()
		c := newClient(t, func(se *webrtc.SettingEngine) { se.SetNetworkTypes([]webrtc.NetworkType{network}) })
		s.web.Close()
		web := httptest.NewUnstartedServer(s.relay) // asked over IPv6, the relay tells its address there
		_ = web.Listener.Close()
		if web.Listener, err = net.Listen("tcp6", "[::1]:0"); err != nil {
			t.Fatal(err)
		}
		web.Start()
		s.web = web
		t.Cleanup(web.Close)
		res, body := s.request("POST", rtsHost, "/live/stream", "application/sdp", c.offer)
		if res.StatusCode != http.StatusCreated || !strings.Contains(body, " ::1 ") ||
			strings.Contains(body, " 127.0.0.1 8") {
			t.Fatalf("%s %s", res.Status, body)
		}
		c.answer(body)
		if !c.next().key {
			t.Errorf("%s: the first packet is not of a key frame", name)
		}
		s.gop(10)
		for range 30 {
			c.next()
		}
	}
}
