package relay

import (
	"net"
	"testing"
	"time"

	"github.com/pion/stun/v4"

	"github.com/millrace/millrace/internal/contract/plan"
	"github.com/millrace/millrace/internal/testkit"
)

// The address list of a play domain holds for media: a session that an allowed address has opened is of no use from
// another one, and the viewer that opened it plays on.
func TestTheAddressListHoldsForMedia(t *testing.T) {
	s := newStack(t, nil)
	p := testPlan()
	p.Play = append(p.Play, plan.PlayDomain{
		Hostname: "near.example.com", Type: plan.RTS, Space: rtsHost, IPs: []string{"127.0.0.1"},
	})
	s.current.Store(plan.NewIndex(p))
	s.publish()
	c := newClient(t, nil)
	_, answer := s.request("POST", "near.example.com", "/live/stream", "application/sdp", c.offer)
	c.answer(answer)
	c.next()
	s.keepWriting()
	check, err := stun.Build(
		stun.TransactionID,
		stun.BindingRequest,
		stun.NewUsername(attribute(t, answer, "ice-ufrag")+":"+attribute(t, c.offer, "ice-ufrag")),
		useCandidate{},
		stun.NewShortTermIntegrity(attribute(t, answer, "ice-pwd")),
		stun.Fingerprint,
	)
	if err != nil {
		t.Fatal(err)
	}
	relay := net.UDPAddrFromAddrPort(s.relay.sockets[0].Local())
	outside, err := net.DialUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 2)}, relay)
	if err != nil {
		t.Fatal("binding a second loopback address:", err)
	}
	defer outside.Close()
	testkit.Eventually(t, "refused checks", func() bool {
		if _, err := outside.Write(check.Raw); err != nil {
			t.Fatal(err)
		}
		return s.metric("millrace_relay_stun_refused_total", "") >= 3
	})
	_ = outside.SetReadDeadline(time.Now().Add(200 * time.Millisecond))
	if n, err := outside.Read(make([]byte, maxPacket)); err == nil {
		t.Errorf("%d bytes went to an address that is not on the list", n)
	}
	c.drain()
	c.next()
}
