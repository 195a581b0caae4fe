package e2e

import (
	_ "embed"
	"strings"
	"testing"

	"github.com/millrace/millrace/e2e/browser"
	"github.com/millrace/millrace/e2e/stack"
	"github.com/millrace/millrace/internal/testsrc"
)

// Streams of a Standard main with an RTS sub, and of another pair whose URLs are signed and whose main has HLS alone.
//
//go:embed testdata/fallback.yaml
var fallbackManifests string

const (
	web    stack.Pair = "-web"
	webHLS stack.Pair = "-hls"
)

// A source that RTS cannot show, B-frames here, plays from the Standard main: by FLV, or by LL-HLS where the main has
// no FLV. The page says by which, over http and https, and with the signature of the RTS URL.
func TestPlayerPageFallsBack(t *testing.T) {
	ctx, s := serviceWith(t, fallbackManifests)
	source := testsrc.Options{BFrames: 2, Audio: true}
	publish(ctx, t, s, web, "cam", source)
	// The page waits for this one by itself.
	source.URL = s.PushURL(webHLS, "cam")
	if _, err := testsrc.Publish(ctx, source); err != nil {
		t.Fatal(err)
	}
	signed, err := s.Sign(s.Page("https", webHLS, "cam"))
	if err != nil {
		t.Fatal(err)
	}
	at := func(scheme, host string) string {
		return strings.Replace(s.Page(scheme, web, "cam"), web.Play(), host, 1)
	}
	cases := []struct {
		url, protocol, connect string
		offers                 int
	}{
		{s.Page("http", web, "cam"), "FLV", " web.example.com;", 2},
		{s.Page("https", web, "cam"), "FLV", " web.example.com;", 2},
		{signed, "LL-HLS", " hls.example.com;", 2},
		{at("http", "web.example.com"), "FLV", "'self';", 1}, // the main's own page
	}
	var steps []browser.Step
	for _, tc := range cases {
		steps = append(
			steps,
			browser.Step{Kind: browser.Page, URL: tc.url, WatchSeconds: 3, LimitSeconds: 60, Keys: []string{"s"}},
		)
	}
	for i, r := range drive[browser.PageResult](ctx, t, s, false, steps, nil) {
		tc := cases[i]
		if r.State != "playing" || r.Protocol != tc.protocol || r.Offers != tc.offers || r.Stats == nil ||
			r.Stats.FramesDecoded < 10 ||
			r.Stats.Width != 640 {
			t.Errorf("%s: want %s: %+v, figures %+v", tc.url, tc.protocol, r, r.Stats)
			continue
		}
		if !strings.Contains(r.Text, tc.protocol) || !strings.Contains(r.CSP, tc.connect) {
			t.Errorf("%s: the page shows %q by policy %q", tc.url, r.Text, r.CSP)
		}
		for _, m := range r.Messages {
			// That the offer was refused is said by the browser itself.
			if !strings.Contains(m, "415") {
				t.Errorf("%s: console: %s", tc.url, m)
			}
		}
		t.Logf("%s: %s, first picture after %.0f ms, %.1f fps", tc.url, r.Protocol, r.FirstFrameMs, r.Stats.FPS)
	}
}

// With a fallback at hand, RTS is still what plays where it can, and a stream that is not live is awaited and not asked
// for elsewhere.
func TestPlayerPageKeepsToRTS(t *testing.T) {
	ctx, s := serviceWith(t, fallbackManifests)
	publish(ctx, t, s, web, "cam", testsrc.Options{})
	steps := []browser.Step{
		{Kind: browser.Page, URL: s.Page("http", web, "cam"), WatchSeconds: 2, LimitSeconds: 60},
		{Kind: browser.Page, URL: s.Page("http", web, "none"), WaitState: "waiting", WatchSeconds: 1, LimitSeconds: 60},
	}
	results := drive[browser.PageResult](ctx, t, s, false, steps, nil)
	if r := results[0]; r.State != "playing" || r.Protocol != "RTS" || r.Offers != 1 {
		t.Errorf("%+v", r)
	}
	r := results[1]
	if r.State != "waiting" || r.Protocol != "" {
		t.Errorf("%+v", r)
	}
	for _, m := range r.Messages {
		if strings.Contains(m, "web.example.com") {
			t.Errorf("the main was asked for a stream that is not live: %s", m)
		}
	}
}
