package main

import (
	"context"
	"errors"
	"fmt"
	"math"
	"sync"
	"time"

	"github.com/spf13/cobra"

	"github.com/millrace/millrace/dataplane/transcode"
	"github.com/millrace/millrace/e2e/beep"
	"github.com/millrace/millrace/e2e/viewer"
)

// soaked are the renditions that a soak watches, and what has to be done for the picture of each.
func soaked() map[string]transcode.Task {
	return map[string]transcode.Task{"rts-web": transcode.Copy, "rts-small": transcode.Encode}
}

func newSoakCommand() *cobra.Command {
	var b beeping
	cmd := &cobra.Command{
		Use: "soak",
		Short: "Whether latency grows, or sound and picture drift apart, over a long time: a rendition that passes the " +
			"picture through, and one that encodes it",
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			rep, err := b.soak(cmd.Context())
			if err != nil {
				return err
			}
			return b.out.finish(rep, cmd.OutOrStdout())
		},
	}
	b.addTo(cmd, beep.Options{Width: 640, Height: 360, FPS: 30, Kbps: 800, GOPSeconds: 2}, time.Hour)
	return cmd
}

func (b *beeping) soak(ctx context.Context) (report, error) {
	rep := b.report()
	ctx, cancel := context.WithTimeout(ctx, 2*time.Minute+b.length)
	defer cancel()
	s, err := b.serve(ctx)
	if err != nil {
		return rep, err
	}
	defer s.Stop() //nolint:errcheck // the figures are there
	var mu sync.Mutex
	var failed error
	seen := map[string]viewer.Watched{}
	var watches sync.WaitGroup
	for id := range soaked() {
		watches.Go(func() {
			w, err := observe(ctx, s, "measure_"+id, b.length)
			mu.Lock()
			defer mu.Unlock()
			if seen[id] = w; err != nil {
				failed = errors.Join(failed, err)
				cancel()
			}
		})
	}
	watches.Wait()
	if failed != nil {
		return rep, failed
	}
	made, err := s.Renditions(ctx)
	if err != nil {
		return rep, err
	}
	for _, one := range made {
		if one.Video != soaked()[one.Template] || one.Audio != transcode.Encode || one.Starts != 1 {
			return rep, fmt.Errorf("this is not what was to be watched: %+v", one)
		}
		rep.Rows = append(
			rep.Rows,
			driftRows(fmt.Sprintf("%s, picture %s: ", one.Template, one.Video), seen[one.Template])...)
	}
	rep.Raw = seen
	return rep, nil
}

// driftRows are what a viewer saw over the whole time.
func driftRows(of string, w viewer.Watched) []row {
	skews := viewer.Values(w.Skews)
	last := absolute(of+"sound off its picture, by RTP, at the end", skews[max(len(skews)-20, 0):])
	return []row{
		figures(of+"sound after picture, by RTP", "ms", skews), last.want("max <= 60", last.Max <= 60),
		figures(of+"latency of the picture", "ms", viewer.Values(w.Picture)),
		drift(
			of+"drift of sound against picture",
			w.Skews,
		), drift(of+"slope of the picture's latency", w.Picture), drift(of+"slope of the sound's latency", w.Sound),
		figures(of+"packets that did not come", "", []float64{float64(w.Gaps)}),
	}
}

// resolution is below what can be told: the time stamps of RTMP are whole milliseconds.
const resolution = 1.0

// drift makes a row of how much the values change over the whole run, by the line of least squares. P50 is the change,
// the goal has its error: twice the standard error, and the resolution of the source's time stamps.
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
