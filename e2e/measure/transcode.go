package main

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/spf13/cobra"

	"github.com/millrace/millrace/e2e/beep"
	"github.com/millrace/millrace/e2e/viewer"
)

func newTranscodeCommand() *cobra.Command {
	var b beeping
	cmd := &cobra.Command{
		Use:   "transcode",
		Short: "What renditions add to the latency of the untouched stream, side by side in one run",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			rep, err := b.transcode(cmd.Context())
			if err != nil {
				return err
			}
			return b.out.finish(rep, cmd.OutOrStdout())
		},
	}
	b.addTo(cmd, beep.Options{Width: 1280, Height: 720, FPS: 30, Kbps: 4000, GOPSeconds: 2}, 40*time.Second)
	return cmd
}

func (b *beeping) transcode(ctx context.Context) (report, error) {
	rep := b.report()
	ctx, cancel := context.WithTimeout(ctx, 2*time.Minute+b.length)
	defer cancel()
	s, err := b.serve(ctx)
	if err != nil {
		return rep, err
	}
	defer s.Stop() //nolint:errcheck // the figures are there
	names := []string{"measure", "measure_rts-web", "measure_rts-hd"}
	seen, errs := make([]viewer.Watched, len(names)), make([]error, len(names))
	var watches sync.WaitGroup
	for i, name := range names {
		watches.Go(func() { seen[i], errs[i] = observe(ctx, s, name, b.length) })
	}
	watches.Wait()
	if err := errors.Join(errs...); err != nil {
		return rep, err
	}
	untouched := viewer.Values(seen[0].Picture)
	base := viewer.Median(untouched)
	added := func(name string, points []viewer.Point) row {
		values := viewer.Values(points)
		for i := range values {
			values[i] -= base
		}
		return figures(name, "ms", values)
	}
	sound, picture := added(
		"pass-through: sound as Opus adds",
		seen[1].Sound,
	), added(
		"720p30 by x264: picture adds",
		seen[2].Picture,
	)
	rep.Rows = []row{
		figures("untouched picture, ingest to viewer", "ms", untouched),
		added("pass-through: picture adds", seen[1].Picture),
		sound.want("p50 <= 80", sound.P50 <= 80),
		picture.want("p50 <= 250", picture.P50 <= 250),
		added("720p30 by x264: sound adds", seen[2].Sound),
		figures("pass-through: sound after picture", "ms", viewer.Values(seen[1].Skews)),
		figures("720p30 by x264: sound after picture", "ms", viewer.Values(seen[2].Skews)),
	}
	rep.Raw = seen
	return rep, nil
}
