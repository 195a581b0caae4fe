package main

import (
	"context"
	"encoding/json"
	"fmt"
	"math"
	"sync"
	"time"

	"github.com/spf13/cobra"

	"github.com/millrace/millrace/e2e/beep"
	"github.com/millrace/millrace/e2e/browser"
	"github.com/millrace/millrace/e2e/stack"
	"github.com/millrace/millrace/e2e/viewer"
)

func newSkewCommand() *cobra.Command {
	var b beeping
	var template string
	var chromium bool
	cmd := &cobra.Command{
		Use:   "skew",
		Short: "How far sound and picture of a rendition are apart, and whether that or the latency drifts",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			rep, err := b.skew(cmd.Context(), template, chromium)
			if err != nil {
				return err
			}
			return b.out.finish(rep, cmd.OutOrStdout())
		},
	}
	b.addTo(cmd, beep.Options{Width: 640, Height: 360, FPS: 30, Kbps: 800, GOPSeconds: 8, BFrames: 3}, 300)
	cmd.Flags().StringVar(&template, "template", "rts-hd", "id of the rendition: rts-web, rts-hd or rts-small")
	cmd.Flags().BoolVar(&chromium, "chromium", true, "look and listen in Chromium too, by the official SDK 2.2.7")
	return cmd
}

func (b *beeping) skew(ctx context.Context, template string, chromium bool) (report, error) {
	rep := b.report()
	ctx, cancel := context.WithTimeout(ctx, 3*time.Minute+time.Duration(b.seconds*float64(time.Second)))
	defer cancel()
	s, err := b.serve(ctx)
	if err != nil {
		return rep, err
	}
	defer s.Stop() //nolint:errcheck // the figures are there
	name := "measure_" + template
	var raw struct {
		Viewer   viewer.Watched  `json:"viewer"`
		Chromium *browser.Senses `json:"chromium,omitempty"`
	}
	var failed error
	var watch sync.WaitGroup
	if chromium {
		watch.Go(func() {
			if raw.Chromium, failed = b.page(ctx, s, name, &rep.Machine); failed != nil {
				cancel()
			}
		})
	}
	raw.Viewer, err = observe(ctx, s, name, b.seconds)
	watch.Wait()
	if failed != nil {
		return rep, failed
	}
	if err != nil {
		return rep, err
	}
	rep.Raw = raw
	rep.Rows = driftRows(raw.Viewer)
	if c := raw.Chromium; c != nil {
		// The end counts: the issue asks how it is after so long.
		pairs := viewer.Pairs(c.FlashesMs, c.BeepsMs)
		last := absolute("sound off its picture, Chromium, at the end", pairs[max(len(pairs)-20, 0):])
		rep.Rows = append(rep.Rows, absolute("sound off its picture, Chromium", pairs), last.want("p50 <= 60", last.P50 <= 60),
			figures("total audio energy in Chromium", "", []float64{c.AudioEnergy}),
			figures("samples that Chromium made up", "%", []float64{100 * c.Concealed / max(c.AudioSamples, 1)}))
	}
	return rep, nil
}

func absolute(name string, values []float64) row {
	out := make([]float64, len(values))
	for i, v := range values {
		out[i] = math.Abs(v)
	}
	return figures(name, "ms", out)
}

// driftRows are what a viewer saw over the whole time.
func driftRows(w viewer.Watched) []row {
	skews := viewer.Values(w.Skews)
	last := absolute("sound off its picture, by RTP, at the end", skews[max(len(skews)-20, 0):])
	rows := []row{
		figures("sound after picture, by RTP", "ms", skews), last.want("max <= 60", last.Max <= 60),
		drift("  its drift", w.Skews), drift("drift of the picture's latency", w.Picture), drift("drift of the sound's latency", w.Sound),
		figures("packets that did not come", "", []float64{float64(w.Gaps)}),
	}
	return rows
}

// resolution is below what can be told: the time stamps of RTMP are whole milliseconds.
const resolution = 1.0

// drift makes a row of how much the values change over the whole run, by the line of least squares. P50 is the change, the goal has its
// error: twice the standard error, and the resolution of the source's time stamps.
func drift(name string, points []viewer.Point) row {
	slope, twice := viewer.Slope(points)
	var over float64
	if len(points) > 0 {
		over = points[len(points)-1].X - points[0].X
	}
	r := figures(fmt.Sprintf("%s over %.0f s", name, over), "ms", []float64{slope * over})
	r.N = len(points)
	err := twice*over + resolution
	return r.want(fmt.Sprintf("0 +- %.2f", err), math.Abs(slope*over) <= err)
}

// page plays in Chromium.
func (b *beeping) page(ctx context.Context, s *stack.Stack, name string, m *machine) (*browser.Senses, error) {
	if err := browser.Ready(); err != nil {
		return nil, err
	}
	limit := b.seconds + 120
	raw, err := browser.Drive(ctx, browser.Scenario{HTTPPort: s.HTTP, HTTPSPort: s.HTTPS, TimeoutSeconds: limit, Steps: []browser.Step{{
		Kind: browser.SDK, Version: "2.2.7", PageScheme: "https", URL: s.ARTC(stack.Open, name), Senses: true, WatchSeconds: b.seconds, LimitSeconds: limit,
	}}}, func(e browser.Event) {
		if e.Event == "ready" {
			m.Chromium = e.Browser
		}
	})
	if err != nil {
		return nil, err
	}
	var r browser.SDKResult
	if err := json.Unmarshal(raw[0], &r); err != nil {
		return nil, fmt.Errorf("reading the browser's figures: %w", err)
	}
	if !r.Playing || r.Senses == nil {
		return nil, fmt.Errorf("%s does not play in Chromium: %+v", name, r.Error)
	}
	return r.Senses, nil
}
