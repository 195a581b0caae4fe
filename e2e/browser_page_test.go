package e2e

import (
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/millrace/millrace/e2e/browser"
	"github.com/millrace/millrace/e2e/stack"
	"github.com/millrace/millrace/internal/testsrc"
)

// The play URL, opened in a browser, is a page that plays it, over http and https. Keys show its figures and turn the
// sound on, and a note tells what of the source a browser does not get.
func TestPlayerPagePlays(t *testing.T) {
	ctx, s := service(t)
	publish(ctx, t, s, stack.Open, "cam", testsrc.Options{Audio: true})
	var steps []browser.Step
	for _, scheme := range []string{"http", "https"} {
		steps = append(steps, browser.Step{
			Kind: browser.Page, URL: s.Page(scheme, stack.Open, "cam"), WatchSeconds: 4, LimitSeconds: 60,
			Keys:     []string{"s", "m"},
			Viewport: &browser.Size{Width: 1280, Height: 720}, Screenshot: filepath.Join(t.TempDir(), scheme+".png"),
		})
	}
	for i, r := range drive[browser.PageResult](ctx, t, s, false, steps, nil) {
		url := steps[i].URL
		if r.Status != 200 || r.State != "playing" || r.Stats == nil || r.Offers != 1 {
			t.Errorf("%s: not playing: %+v", url, r)
			continue
		}
		if r.Stats.Width != 640 || r.Stats.Height != 360 || r.Stats.FramesDecoded < 30 || r.Stats.Video != "H264" {
			t.Errorf("%s: no proper picture: %+v", url, *r.Stats)
		}
		if r.Stats.Cipher != "SRTP_AEAD_AES_128_GCM" {
			t.Errorf("%s: cipher is %s, want SRTP_AEAD_AES_128_GCM", url, r.Stats.Cipher)
		}
		if r.Muted || !strings.Contains(r.Notice, "AAC") {
			t.Errorf("%s: muted %v after the key m, notice %q", url, r.Muted, r.Notice)
		}
		for _, word := range []string{r.Notice, "LIVE", "live/cam", "Latency", "640 × 360", "Frame rate"} {
			if !strings.Contains(r.Text, word) {
				t.Errorf("%s: the page does not show %q: %q", url, word, r.Text)
			}
		}
		if !strings.Contains(r.CSP, "default-src 'none'") || len(r.Messages) > 0 {
			t.Errorf("%s: policy %q, console %q", url, r.CSP, r.Messages)
		}
		t.Logf(
			"%s: first picture after %.0f ms, latency %.0f ms, %.1f fps",
			url,
			r.FirstFrameMs,
			r.Stats.LatencyMs,
			r.Stats.FPS,
		)
	}
}

// Where the network lets no UDP through, media comes by TCP on the same port number.
func TestPlayerPagePlaysWithoutUDP(t *testing.T) {
	ctx, s := service(t)
	publish(ctx, t, s, stack.Open, "cam", testsrc.Options{})
	r := run[browser.PageResult](ctx, t, s, browser.Scenario{TCPOnly: true, Steps: []browser.Step{
		{Kind: browser.Page, URL: s.Page("http", stack.Open, "cam"), WatchSeconds: 4, LimitSeconds: 60},
	}}, nil)[0]
	if r.State != "playing" || r.Stats == nil || r.Stats.FramesDecoded < 30 ||
		!strings.HasPrefix(r.Stats.Transport, "TCP") {
		t.Errorf("not playing over TCP: %+v, %+v", r, r.Stats)
	}
}

// A page opened before the stream begins waits and starts by itself; after the publisher's end it waits again.
func TestPlayerPageWaitsForTheStream(t *testing.T) {
	ctx, s := service(t)
	live := make(chan *testsrc.Publisher, 1)
	var once sync.Once
	var work sync.WaitGroup
	defer work.Wait()
	steps := []browser.Step{
		{
			Kind:         browser.Page,
			URL:          s.Page("http", stack.Open, "later"),
			WatchSeconds: 2,
			ThenState:    "waiting",
			LimitSeconds: 90,
		},
	}
	results := drive[browser.PageResult](ctx, t, s, false, steps, func(e browser.Event) {
		switch {
		case e.Event == "state" && e.State == "waiting":
			once.Do(func() {
				work.Go(func() {
					defer close(live)
					if p, err := s.Publish(ctx, stack.Open, "later", testsrc.Options{}); err != nil {
						t.Error(err)
					} else {
						live <- p
					}
				})
			})
		case e.Event == "awaiting":
			work.Go(func() {
				if p := <-live; p != nil {
					p.Stop(10 * time.Second)
				}
			})
		}
	})
	r := results[0]
	var states []string
	for _, h := range r.History {
		if len(states) == 0 || states[len(states)-1] != h.State {
			states = append(states, h.State)
		}
	}
	want := []string{"connecting", "waiting", "playing", "reconnecting", "waiting"}
	if !slices.Equal(states, want) || r.Title != "The stream has ended" {
		t.Errorf("states %v, want %v; title %q", states, want, r.Title)
	}
}

// Who may not play reads why.
func TestPlayerPageSaysWhyNot(t *testing.T) {
	ctx, s := service(t)
	publish(ctx, t, s, stack.Signed, "cam", testsrc.Options{})
	signed, err := s.Sign(s.Page("http", stack.Signed, "cam"))
	if err != nil {
		t.Fatal(err)
	}
	steps := []browser.Step{
		{Kind: browser.Page, URL: s.Page("http", stack.Signed, "cam"), WaitState: "denied", WatchSeconds: 0.1},
		{Kind: browser.Page, URL: signed, WatchSeconds: 0.1, LimitSeconds: 60},
	}
	results := drive[browser.PageResult](ctx, t, s, false, steps, nil)
	if r := results[0]; r.State != "denied" || r.Offers != 1 || !strings.Contains(r.Text, "expired or is not allowed") {
		t.Errorf("unsigned URL: %+v", r)
	}
	if r := results[1]; r.State != "playing" {
		t.Errorf("signed URL: %+v", r)
	}
}

// A source with B-frames is refused with words that say so, rather than shown as a jumping picture.
func TestPlayerPageTellsOfBFrames(t *testing.T) {
	ctx, s := service(t)
	publish(ctx, t, s, stack.Open, "bframes", testsrc.Options{BFrames: 2})
	steps := []browser.Step{
		{
			Kind:         browser.Page,
			URL:          s.Page("http", stack.Open, "bframes"),
			WaitState:    "unplayable",
			WatchSeconds: 0.1,
			LimitSeconds: 60,
		},
	}
	r := drive[browser.PageResult](ctx, t, s, false, steps, nil)[0]
	if r.State != "unplayable" || !strings.Contains(r.Text, "B-frames") {
		t.Errorf("%+v", r)
	}
}

// A publisher that breaks off and is back soon goes on in the same connections: no viewer sends a new offer.
func TestPublisherRestartKeepsViewers(t *testing.T) {
	ctx, s := service(t)
	first := publish(ctx, t, s, stack.Open, "restart", testsrc.Options{})
	steps := []browser.Step{
		{
			Kind:         browser.Page,
			URL:          s.Page("http", stack.Open, "restart"),
			WaitState:    "playing",
			WatchSeconds: 8,
			LimitSeconds: 60,
		},
	}
	var work sync.WaitGroup
	defer work.Wait()
	r := drive[browser.PageResult](ctx, t, s, false, steps, func(e browser.Event) {
		if e.Event != "playing" {
			return
		}
		work.Go(func() {
			first.Kill()
			if _, err := s.Publish(ctx, stack.Open, "restart", testsrc.Options{}); err != nil {
				t.Error(err)
			}
		})
	})[0]
	if r.Offers != 1 || r.State != "playing" || r.Stats == nil || r.Stats.FPS < 1 {
		t.Errorf("offers %d, state %s, figures %+v, history %+v", r.Offers, r.State, r.Stats, r.History)
	}
}
