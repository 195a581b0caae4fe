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
	b.addTo(cmd, beep.Options{Width: 640, Height: 360, FPS: 30, Kbps: 800, GOPSeconds: 8, BFrames: 3}, 5*time.Minute)
	cmd.Flags().StringVar(&template, "template", "rts-hd", "id of the rendition: rts-web, rts-hd or rts-small")
	cmd.Flags().BoolVar(&chromium, "chromium", true, "look and listen in Chromium too, by the official SDK 2.2.7")
	return cmd
}

func (b *beeping) skew(ctx context.Context, template string, chromium bool) (report, error) {
	rep := b.report()
	ctx, cancel := context.WithTimeout(ctx, 3*time.Minute+b.length)
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
	raw.Viewer, err = observe(ctx, s, name, b.length)
	watch.Wait()
	if failed != nil {
		return rep, failed
	}
	if err != nil {
		return rep, err
	}
	rep.Raw = raw
	rep.Rows = driftRows("", raw.Viewer)
	if c := raw.Chromium; c != nil {
		// The end counts: how it is after so long.
		pairs := viewer.Pairs(c.FlashesMs, c.BeepsMs)
		last := pairs[max(len(pairs)-20, 0):]
		rep.Rows = append(rep.Rows, figures("sound after picture, seen and heard in Chromium", "ms", pairs),
			absolute("sound off its picture, seen and heard in Chromium, at the end", last))
		var proper, adds []float64
		if own, ok := c.Own(); ok {
			adds = []float64{own}
			for _, ms := range last {
				proper = append(proper, ms-own)
			}
		}
		r := absolute("sound off its picture in Chromium, at the end, without what the page adds", proper)
		rep.Rows = append(
			rep.Rows,
			figures("sound after picture that the page adds, of what it is given at known moments", "ms", adds),
			r.want("p50 <= 60", r.P50 <= 60),
			figures("sound after picture, by Chromium's playout times", "ms", c.ApartMs),
			figures("kept in Chromium's jitter buffers: pictures", "ms", []float64{c.VideoBufferMs}),
			figures("kept in Chromium's jitter buffers: sound", "ms", []float64{c.AudioBufferMs}),
			figures("total audio energy in Chromium", "", []float64{c.AudioEnergy}),
			figures("samples that Chromium made up", "%", []float64{100 * c.Concealed / max(c.AudioSamples, 1)}),
		)
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

// page plays in Chromium.
func (b *beeping) page(ctx context.Context, s *stack.Stack, name string, m *machine) (*browser.Senses, error) {
	if err := browser.Ready(); err != nil {
		return nil, err
	}
	limit := b.length.Seconds() + 120
	raw, err := browser.Drive(
		ctx,
		browser.Scenario{HTTPPort: s.HTTP, HTTPSPort: s.HTTPS, TimeoutSeconds: limit, Steps: []browser.Step{{
			Kind: browser.SDK, Version: "2.2.7", PageScheme: "https", URL: s.ARTC(stack.Open, name), Senses: true,
			Calibrate: true, WatchSeconds: b.length.Seconds(), LimitSeconds: limit,
		}}},
		func(e browser.Event) {
			if e.Event == "ready" {
				m.Chromium = e.Browser
			}
		},
	)
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
