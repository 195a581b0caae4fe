package e2e

import (
	"strings"
	"testing"
	"time"

	"github.com/millrace/millrace/e2e/browser"
	"github.com/millrace/millrace/e2e/stack"
	"github.com/millrace/millrace/internal/testsrc"
)

// The players of the web, unmodified, and what they play.
func standardPlayers() map[string]string {
	return map[string]string{".flv": "mpegts.js", ".m3u8": "hls.js"}
}

// mpegts.js plays FLV and hls.js low-latency HLS, on pages of another origin and of both schemes, from open domains and
// from those that want a signature and know the page, with and without sound. When the publisher ends, both players
// play to the very last picture and know that it was.
func TestStandardPlayersPlayToTheEnd(t *testing.T) {
	for _, c := range []struct {
		scheme string
		pair   stack.Pair
		audio  bool
	}{{"http", stack.Open, false}, {"https", stack.Signed, true}} {
		t.Run(c.scheme, func(t *testing.T) {
			ctx, s := service(t)
			p := publish(ctx, t, s, c.pair, "cam", testsrc.Options{Audio: c.audio, GOPSeconds: 3})
			var steps []browser.Step
			for suffix, player := range standardPlayers() {
				url := s.Standard(c.scheme, c.pair, "cam", suffix)
				if c.pair == stack.Signed {
					var err error
					if url, err = s.Sign(url); err != nil {
						t.Fatal(err)
					}
				}
				steps = append(steps, browser.Step{
					Kind: browser.Standard, Player: player, PageScheme: c.scheme, URL: url, WatchSeconds: 5, WaitEnded: true,
					LimitSeconds: 60,
				})
			}
			watched := 0
			results := drive[browser.StandardResult](ctx, t, s, true, steps, func(e browser.Event) {
				if e.Event != "watched" {
					return
				}
				if watched++; watched == len(steps) {
					go p.Stop(10 * time.Second)
				}
			})
			last := map[string]int64{}
			for i, r := range results {
				one, name := r.Plays[0], steps[i].Player
				t.Logf(
					"%s %s over %s: first picture after %.0f ms, %d frames to %.2f s, %d freezes",
					name,
					one.Version,
					c.scheme,
					one.FirstPresentedMs,
					one.Frames,
					one.Seconds,
					one.Freezes,
				)
				if one.Error != "" || one.Width != 640 || one.Height != 360 || one.Frames < 60 {
					t.Errorf("%s: no proper picture: %+v", name, one)
				}
				if !one.Complete || !one.Ended {
					t.Errorf("%s: the player does not know that the stream has ended: %+v", name, one)
				}
				if one.LastDrawn == nil {
					t.Fatalf("%s: the last picture cannot be read: %+v", name, one)
				}
				last[name] = *one.LastDrawn
			}
			// mpegts.js keeps the last frame to itself when it comes alone; what hls.js would miss is a part of several.
			if last["hls.js"] < last["mpegts.js"] {
				t.Errorf(
					"hls.js does not get to the last picture: it was drawn at %d, one that mpegts.js shows at %d",
					last["hls.js"],
					last["mpegts.js"],
				)
			}
		})
	}
}

// A refusal reaches the players as one: an unsigned URL, a stream that nobody publishes, a page that may not embed the
// stream.
func TestStandardPlayersReportRefusals(t *testing.T) {
	ctx, s := service(t)
	publish(ctx, t, s, stack.Signed, "cam", testsrc.Options{})
	publish(ctx, t, s, stack.Open, "cam", testsrc.Options{})
	var steps []browser.Step
	for suffix, player := range standardPlayers() {
		for _, url := range []string{s.Standard("http", stack.Signed, "cam", suffix), s.Standard("http", stack.Open, "nobody",
			suffix)} {
			steps = append(
				steps,
				browser.Step{Kind: browser.Standard, Player: player, PageScheme: "http", URL: url, LimitSeconds: 30},
			)
		}
	}
	for i, r := range drive[browser.StandardResult](ctx, t, s, true, steps, nil) {
		one := r.Plays[0]
		t.Logf("%s of %s: %s", steps[i].Player, steps[i].URL, one.Error)
		if one.Frames != 0 || !strings.Contains(one.Error, "40") {
			t.Errorf("%s of %s: %+v", steps[i].Player, steps[i].URL, one)
		}
	}
}
