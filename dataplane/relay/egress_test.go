package relay

import (
	"net/http"
	"strings"
	"testing"

	"github.com/millrace/millrace/dataplane/media"
	"github.com/millrace/millrace/internal/contract/plan"
)

func TestDomainsEgressLimitRefusesNewcomers(t *testing.T) {
	s := newStack(t, nil)
	p := testPlan()
	for i := range p.Play {
		p.Play[i].MaxEgressMbps = 5
	}
	s.current.Store(plan.NewIndex(p))
	s.publish()
	s.pub.SetFacts(media.Facts{VideoCodec: media.H264, VideoKbps: 2000})
	offer := newClient(t, nil).offer
	for i, want := range []int{201, 201, 503} {
		res, body := s.request("POST", rtsHost, "/live/stream", "application/sdp", offer)
		if res.StatusCode != want {
			t.Errorf("viewer %d: %s %s", i, res.Status, body)
		}
		if want == http.StatusServiceUnavailable &&
			(!strings.Contains(body, "EgressFull") || res.Header.Get("Retry-After") == "") {
			t.Errorf("%v %s", res.Header, body)
		}
	}
	if res, body := s.request("POST", "page.example.com", "/live/stream", "application/sdp", offer, "Referer",
		"https://www.good.example/"); res.StatusCode != 201 {
		t.Errorf("another domain: %s %s", res.Status, body)
	}
}
