package relay

import (
	"net/http"
	"testing"

	"github.com/millrace/millrace/internal/contract/plan"
)

// Mobile players of artc:// turn to the same URL with .flv or .m3u8 by themselves. The RTS domain sends them to its
// Standard main, with the signature that they have, where the main serves that.
func TestPlayersFallBackToTheMain(t *testing.T) {
	p := &plan.Plan{Class: "default"}
	flv := []plan.Protocol{plan.FLV}
	sub := func(host string, f *plan.Fallback) *plan.PlayDomain {
		p.Play = append(p.Play, plan.PlayDomain{Hostname: host, Type: plan.RTS, Role: plan.Sub, Space: stdHost, Fallback: f})
		return &p.Play[len(p.Play)-1]
	}
	p.Play = append(p.Play, plan.PlayDomain{
		Hostname: stdHost, Type: plan.Standard, Role: plan.Main, Space: stdHost, Protocols: flv,
	})
	sub("sub.example.com", &plan.Fallback{Hostname: stdHost, Protocols: flv, Redirect: true})
	sub("none.example.com", &plan.Fallback{Hostname: stdHost, Protocols: flv})
	sub("alone.example.com", nil)
	sub("away.example.com", &plan.Fallback{Hostname: stdHost, Protocols: flv, Redirect: true}).Offline = true
	sub("page.example.com", &plan.Fallback{Hostname: stdHost, Protocols: flv, Redirect: true}).Referers =
		[]string{"www.example.com"}
	s := newStack(t, nil)
	s.current.Store(plan.NewIndex(p))
	s.web.Client().CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	const key = "auth_key=4102444800-0-0-879aa9f4283cdbdd336e2b0ba876f021"
	for name, c := range map[string]struct {
		method, host, path string
		headers            []string
		status             int
		location           string
	}{
		"signed": {"GET", "sub.example.com", "/live/stream.flv?" + key, nil, 307,
			"//play.example.com/live/stream.flv?" + key + "&rts_degrade=on"},
		"said already": {"GET", "sub.example.com", "/live/stream.flv?" + key + "&rts_degrade=on", nil, 307,
			"//play.example.com/live/stream.flv?" + key + "&rts_degrade=on"},
		"open":        {"GET", "sub.example.com", "/live/stream.flv", nil, 307, "//play.example.com/live/stream.flv?rts_degrade=on"},
		"with a port": {"GET", "sub.example.com:8080", "/live/a%20b.flv", nil, 307, "//play.example.com:8080/live/a%20b.flv?rts_degrade=on"},
		"asked by HEAD": {"HEAD", "sub.example.com", "/live/stream.flv", nil, 307,
			"//play.example.com/live/stream.flv?rts_degrade=on"},
		"not served by the main": {"GET", "sub.example.com", "/live/stream.m3u8", nil, 403, ""},
		"turned off":             {"GET", "none.example.com", "/live/stream.flv", nil, 403, ""},
		"without a main":         {"GET", "alone.example.com", "/live/stream.flv", nil, 403, ""},
		"offline":                {"GET", "away.example.com", "/live/stream.flv", nil, 403, ""},
		"of another page":        {"GET", "page.example.com", "/live/stream.flv", []string{"Referer", "https://evil.example/"}, 403, ""},
		"of its page": {"GET", "page.example.com", "/live/stream.flv", []string{"Referer", "https://www.example.com/"}, 307,
			"//play.example.com/live/stream.flv?rts_degrade=on"},
	} {
		t.Run(name, func(t *testing.T) {
			res, body := s.request(c.method, c.host, c.path, "", "", c.headers...)
			if res.StatusCode != c.status || res.Header.Get("Location") != c.location {
				t.Errorf("%d to %q, want %d to %q: %s", res.StatusCode, res.Header.Get("Location"), c.status, c.location, body)
			}
		})
	}
}
