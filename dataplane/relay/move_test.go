package relay

import (
	"strings"
	"testing"

	"github.com/pion/stun/v4"

	"github.com/millrace/millrace/internal/testkit"
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
	one, answer := s.offered(c.offer)
	c.answer(answer)
	c.next()
	s.keepWriting()
	h := s.byHand("127.0.0.1", one, c.offer)
	h.answers.Store(true)
	wrong := check(t, one, "wrong", useCandidate{})
	testkit.Eventually(t, "refused checks", func() bool {
		h.send(wrong)
		return s.counter("stun_refused_total") >= 10
	})
	if n := h.received.Load(); n > 0 {
		t.Errorf("checks with a wrong password brought %d bytes", n)
	}
	testkit.Eventually(t, "media at the player's new address", func() bool {
		h.check(useCandidate{})
		return h.media.Load() > 0
	})
	if n := s.counter("moves_total"); n != 1 {
		t.Errorf("%v moves are counted", n)
	}
}
