package e2e

import (
	"fmt"
	"io"
	"net/http"
	"regexp"
	"strconv"
	"testing"

	"github.com/millrace/millrace/e2e/browser"
	"github.com/millrace/millrace/e2e/stack"
	"github.com/millrace/millrace/internal/testsrc"
)

// metric reads one line of the server's metrics; what is not there is 0.
func metric(t *testing.T, s *stack.Stack, name string) float64 {
	t.Helper()
	res, err := http.Get(fmt.Sprintf("http://127.0.0.1:%d/metrics", s.Admin))
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	found := regexp.MustCompile(`(?m)^` + regexp.QuoteMeta(name) + ` (\S+)$`).FindSubmatch(b)
	if found == nil {
		return 0
	}
	v, err := strconv.ParseFloat(string(found[1]), 64)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

// A browser tells what bandwidth it has and how far away it is; on a network that has enough, that takes no frame from
// it.
func TestBrowserReportsItsBandwidth(t *testing.T) {
	ctx, s := service(t)
	publish(ctx, t, s, stack.Open, "cam", testsrc.Options{})
	r := run[browser.PageResult](ctx, t, s, browser.Scenario{Steps: []browser.Step{
		{Kind: browser.Page, URL: s.Page("http", stack.Open, "cam"), WatchSeconds: 10, LimitSeconds: 60},
	}}, nil)[0]
	if r.State != "playing" {
		t.Fatalf("not playing: %+v", r)
	}
	for _, name := range []string{"millrace_relay_bandwidth_ratio_count", "millrace_relay_rtt_seconds_count"} {
		n := metric(t, s, name)
		t.Logf("%s: %g", name, n)
		if n == 0 {
			t.Errorf("%s is 0", name)
		}
	}
	t.Logf("mean of estimate over need: %.2f, of round-trip times: %.2f ms",
		metric(t, s, "millrace_relay_bandwidth_ratio_sum")/metric(t, s, "millrace_relay_bandwidth_ratio_count"),
		1000*metric(t, s, "millrace_relay_rtt_seconds_sum")/metric(t, s, "millrace_relay_rtt_seconds_count"))
	for _, cause := range []string{"bandwidth", "loss", "delay"} {
		if n := metric(t, s, `millrace_relay_less_total{cause="`+cause+`"}`); n > 0 {
			t.Errorf("%g decisions to send less, for %s", n, cause)
		}
	}
}
