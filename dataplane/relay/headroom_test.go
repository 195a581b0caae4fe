package relay

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/millrace/millrace/dataplane/media"
	"github.com/millrace/millrace/internal/contract/plan"
)

func TestHeadroomOfEgress(t *testing.T) {
	h := newHeadroom(0, 10)
	now := h.at
	tick := func(sent map[string]uint64) {
		now = now.Add(time.Second)
		h.measure(now, 0, 2, sent)
	}
	admit := func(host string, mbps, limit float64, want string) {
		t.Helper()
		if reason, _ := h.admit(host, mbps, limit); reason != want {
			t.Errorf("%g Mbit/s of %s with limit %g: %q, want %q", mbps, host, limit, reason, want)
		}
	}
	admit("a", 2, 5, "")
	admit("a", 2, 5, "")
	admit("a", 2, 5, "EgressFull") // the promises count at once
	admit("b", 2, 0, "")
	tick(map[string]uint64{"a": 500_000}) // 4 Mbit/s: both of a are measured, and still promised for a second
	admit("a", 2, 5, "EgressFull")
	tick(map[string]uint64{"a": 500_000, "b": 250_000})
	tick(map[string]uint64{"a": 500_000, "b": 250_000})
	admit("a", 1, 5, "")
	admit("b", 4, 0, "EgressFull") // 4 + 1 + 2 + 4 Mbit/s are over the relay's 10
	admit("b", 3, 0, "")
	tick(nil)
	tick(nil)
	admit("a", 5, 5, "")
}

func TestHeadroomOfCPU(t *testing.T) {
	h := newHeadroom(0.9, 0)
	now, cpu := h.at, h.cpu
	second := func(busy float64) {
		now, cpu = now.Add(time.Second), cpu+time.Duration(busy*2*float64(time.Second))
		h.measure(now, cpu, 2, nil)
	}
	full := func() bool {
		reason, _ := h.admit("a", 1, 0)
		return reason == "Busy"
	}
	second(0.5)
	second(1)
	if full() {
		t.Error("one busy second refuses")
	}
	for range 6 {
		second(1)
	}
	if !full() {
		t.Error("seconds at full load refuse nobody")
	}
	for range 4 {
		second(0.3)
	}
	if full() {
		t.Error("the load is gone, and still nobody is let in")
	}
}

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
