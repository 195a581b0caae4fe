package relay

import (
	"net/http"
	"testing"

	"github.com/millrace/millrace/internal/contract/plan"
	"github.com/millrace/millrace/internal/testkit"
)

// Offers whose sessions never connect fill a domain's limit only until somebody else needs the place: then the oldest
// session ends.
func TestSessionsThatNeverConnectMakeRoom(t *testing.T) {
	const limit = 8
	s := newStack(t, nil)
	p := testPlan()
	for i := range p.Play {
		p.Play[i].MaxViewers = limit
	}
	s.current.Store(plan.NewIndex(p))
	s.publish()
	offer := newClient(t, nil).offer
	for i := range 2 * limit {
		res, body := s.request("POST", rtsHost, "/live/stream", "application/sdp", offer)
		if res.StatusCode != http.StatusCreated {
			t.Fatalf("offer %d: %s %s", i, res.Status, body)
		}
	}
	testkit.Eventually(t, "the end of the sessions that left", func() bool { return s.relay.Sessions() == limit })
}
