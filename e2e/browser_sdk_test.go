package e2e

import (
	"strings"
	"testing"
	"time"

	"github.com/millrace/millrace/e2e/browser"
	"github.com/millrace/millrace/e2e/stack"
	"github.com/millrace/millrace/internal/testsrc"
)

func sdkVersions() []string { return []string{"2.0.0", "2.2.7", "2.7.2"} }

// The official SDKs, unmodified, play an artc URL on pages of both schemes, with and without sound in the source, and
// hear of the publisher's end.
func TestSDKsPlayAndHearOfTheEnd(t *testing.T) {
	for _, scheme := range []string{"http", "https"} {
		t.Run(scheme, func(t *testing.T) {
			ctx, s := service(t)
			p := publish(ctx, t, s, stack.Open, "sdk", testsrc.Options{Audio: scheme == "https"})
			var steps []browser.Step
			for _, v := range sdkVersions() {
				steps = append(steps, browser.Step{
					Kind: browser.SDK, Version: v, PageScheme: scheme, URL: s.ARTC(stack.Open, "sdk"), WatchSeconds: 2,
					WaitEnded: true, LimitSeconds: 60,
				})
			}
			watched, stopped := 0, make(chan time.Time, 1)
			results := drive[browser.SDKResult](ctx, t, s, true, steps, func(e browser.Event) {
				if e.Event != "watched" {
					return
				}
				if watched++; watched == len(steps) {
					go func() {
						stopped <- time.Now()
						p.Stop(10 * time.Second)
					}()
				}
			})
			if watched != len(steps) {
				t.Fatalf("%d of %d SDKs played: %+v", watched, len(steps), results)
			}
			end := <-stopped
			for i, r := range results {
				v := sdkVersions()[i]
				if !r.Playing || r.Width != 640 || r.Height != 360 || r.Frames < 20 {
					t.Errorf("SDK %s: no proper picture: %+v", v, r)
				}
				if r.Ended == 0 {
					t.Errorf("SDK %s: did not hear of the publisher's end: %+v", v, r)
					continue
				}
				t.Logf("SDK %s over %s: first frame after %.0f ms, %d frames, ended %d ms after the publisher was told to stop",
					v, scheme, r.FirstFrameMs, r.Frames, r.Ended-end.UnixMilli())
			}
		})
	}
}

// A wrong signature is a 403 and an unknown stream a 404, as the SDKs report them.
func TestSDKsReportRefusals(t *testing.T) {
	ctx, s := service(t)
	publish(ctx, t, s, stack.Signed, "cam", testsrc.Options{})
	signed, err := s.Sign(s.ARTC(stack.Signed, "cam"))
	if err != nil {
		t.Fatal(err)
	}
	wrong := strings.Replace(signed, "auth_key=", "auth_key=1", 1)
	var steps []browser.Step
	var want []string
	add := func(url, status string) {
		for _, v := range sdkVersions() {
			steps = append(
				steps,
				browser.Step{Kind: browser.SDK, Version: v, PageScheme: "http", URL: url, LimitSeconds: 40, WatchSeconds: 0.1},
			)
			want = append(want, status)
		}
	}
	add(wrong, "403")
	add(s.ARTC(stack.Signed, "cam"), "403")
	add(s.ARTC(stack.Open, "nobody"), "404")
	add(signed, "")
	for i, r := range drive[browser.SDKResult](ctx, t, s, true, steps, nil) {
		v := steps[i].Version
		switch {
		case want[i] == "" && !r.Playing:
			t.Errorf("SDK %s does not play a signed URL: %+v", v, r)
		case want[i] == "":
		case r.Playing || r.Error == nil || r.Error.ErrorCode != 10205 || !strings.Contains(r.Error.Message, "status code "+
			want[i]):
			t.Errorf("SDK %s: want error 10205 with status %s, got %+v", v, want[i], r.Error)
		}
	}
}
