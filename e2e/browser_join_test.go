package e2e

import (
	"testing"

	"github.com/millrace/millrace/e2e/browser"
	"github.com/millrace/millrace/e2e/stack"
	"github.com/millrace/millrace/internal/testsrc"
)

// Whoever joins in the middle of a long GOP gets a picture from the first key frame in the server's memory, by its
// first offer, and from then on every frame: nothing is lost or asked for again, and pictures do not freeze. How fast
// that is, is measured and not tested.
func TestJoinsInTheMiddleOfALongGOP(t *testing.T) {
	const (
		fps, joins = 25, 6
		quiet      = 50 // ms that a page may wait to be run, at most, on a machine that has time for it
	)
	ctx, s := service(t)
	publish(ctx, t, s, stack.Open, "gop", testsrc.Options{FPS: fps, GOPSeconds: 3})
	steps := []browser.Step{{
		Kind: browser.Join, URL: s.Page("http", stack.Open, "gop"), Joins: joins, Concurrent: 2, GapSeconds: &[2]float64{0.1,
			2},
		Early: 2, Late: 6, LimitSeconds: 30,
	}}
	r := drive[browser.JoinResult](ctx, t, s, false, steps, nil)[0]
	if len(r.Joins) != joins {
		t.Fatalf("%d joins were measured, want %d", len(r.Joins), joins)
	}
	frozen := 0
	for i, j := range r.Joins {
		if j.Error != "" {
			t.Errorf("join %d: %s", i, j.Error)
			continue
		}
		if j.Offers != 1 || j.KeyFrameRequests != 0 || j.PacketsLost != 0 {
			t.Errorf(
				"join %d: %d offers, %d key frames asked for, %d packets lost",
				i,
				j.Offers,
				j.KeyFrameRequests,
				j.PacketsLost,
			)
		}
		// Frames are counted over seconds that the browser measured, so this is their number and not a speed.
		if j.FPS < 0.8*fps {
			t.Errorf("join %d: decodes %.1f frames per second, the source has %d", i, j.FPS, fps)
		}
		if j.Freezes > 0 {
			t.Logf("join %d: %d freezes of %.0f ms; longest times without a new picture: %v; the page waited up to %.0f ms",
				i, j.Freezes, j.FrozenMs, j.Gaps, j.StallMs)
			// On a machine that makes the page itself wait, pictures wait too, and that is not the server's doing.
			if j.StallMs < quiet {
				frozen++
			}
		}
		if j.Early.Presented == nil || j.Late.Presented == nil || j.Unread > 0 {
			t.Errorf(
				"join %d: pictures without a readable barcode: %d of early %v and late %v",
				i,
				j.Unread,
				j.Early.Presented,
				j.Late.Presented,
			)
			continue
		}
		t.Logf("join %d: first picture after %.0f ms, latency %.0f ms after 2 s, %.0f ms after 6 s, %.1f fps",
			i, j.FirstPresentedMs, j.Early.Presented.P50, j.Late.Presented.P50, j.FPS)
	}
	// A single freeze may still be the encoder's or another program's; those of most joins are not.
	if frozen > joins/2 {
		t.Errorf("%d of %d joins froze", frozen, joins)
	}
}
