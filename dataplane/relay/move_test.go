package relay

import (
	"net"
	"strings"
	"testing"
	"time"

	"github.com/pion/stun/v4"
)

type useCandidate struct{}

func (useCandidate) AddTo(m *stun.Message) error {
	m.Add(stun.AttrUseCandidate, nil)
	return nil
}

// attribute takes the value of an SDP attribute.
func attribute(t *testing.T, sdp, name string) string {
	t.Helper()
	_, after, ok := strings.Cut(sdp, "a="+name+":")
	if !ok {
		t.Fatalf("no %s in the answer", name)
	}
	value, _, _ := strings.Cut(after, "\r\n")
	return value
}

// A player whose address changes nominates the new one, and media follows; one who does not know the password moves
// nothing.
func TestMediaFollowsTheNominatedPath(t *testing.T) {
	s := newStack(t, nil)
	s.publish()
	c := newClient(t, nil)
	_, answer := s.request("POST", rtsHost, "/live/stream", "application/sdp", c.offer)
	c.answer(answer)
	c.next()
	s.keepWriting()
	user, password := attribute(
		t,
		answer,
		"ice-ufrag",
	)+":"+attribute(
		t,
		c.offer,
		"ice-ufrag",
	), attribute(
		t,
		answer,
		"ice-pwd",
	)
	moved := func(password string, patience time.Duration) bool {
		conn, err := net.Dial("udp", s.relay.sockets[0].Local().String())
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		m, err := stun.Build(
			stun.TransactionID,
			stun.BindingRequest,
			stun.NewUsername(user),
			useCandidate{},
			stun.NewShortTermIntegrity(password),
			stun.Fingerprint,
		)
		if err != nil {
			t.Fatal(err)
		}
		buf := make([]byte, 2048)
		for end := time.Now().Add(patience); time.Now().Before(end); {
			if _, err := conn.Write(m.Raw); err != nil {
				t.Fatal(err)
			}
			_ = conn.SetReadDeadline(time.Now().Add(100 * time.Millisecond))
			for {
				n, err := conn.Read(buf)
				if err != nil {
					break
				}
				if n > 12 && buf[0]>>6 == 2 && (buf[1] < 192 || buf[1] > 223) {
					return true
				}
			}
		}
		return false
	}
	if moved("wrong", time.Second) {
		t.Error("a check with a wrong password moved the media")
	}
	if !moved(password, patience) {
		t.Error("media did not follow the player")
	}
	eventually(t, "the count of moves", func() bool {
		families, err := s.registry.Gather()
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range families {
			if f.GetName() == "millrace_relay_moves_total" {
				return f.GetMetric()[0].GetCounter().GetValue() >= 1
			}
		}
		return false
	})
}
