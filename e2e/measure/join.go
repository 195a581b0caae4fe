package main

import (
	"fmt"
	"math"
	"time"

	"github.com/spf13/cobra"

	"github.com/millrace/millrace/e2e/browser"
)

const (
	early, late = 2.0, 30.0 // seconds after the offer
	span        = 1.0       // length of the windows around them
)

func newJoinCommand() *cobra.Command {
	var s source
	var joins, concurrent int
	var lateSeconds float64
	cmd := &cobra.Command{
		Use:   "join",
		Short: "Join at random times in a long GOP: first picture, decode rate, freezes, latency early and late",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			rounds := float64((joins + concurrent - 1) / concurrent)
			limit := time.Minute + time.Duration(rounds*(lateSeconds+30)*float64(time.Second))
			gap := [2]float64{0.1, 2 + s.gop}
			loop, err := s.loopMs()
			if err != nil {
				return err
			}
			result, rep, err := play(cmd.Context(), s, browser.Step{
				Joins: joins, Warm: true, Concurrent: concurrent, GapSeconds: &gap, Early: early, Late: lateSeconds, Span: span,
				LimitSeconds: 20,
				LoopMs:       loop,
			}, limit)
			if err != nil {
				return err
			}
			rep.Rows = append(warmRows(result.Warm), joinRows(result.Joins, s.fps, lateSeconds)...)
			return s.finish(rep, cmd.OutOrStdout())
		},
	}
	s.addTo(cmd, 3)
	cmd.Flags().
		BoolVar(&s.ahead, "ahead", true, "encode the source before, so that the encoder takes no CPU from the browser; "+
			"false encodes while it is published")
	cmd.Flags().IntVar(&joins, "joins", 30, "how many joins")
	cmd.Flags().
		IntVar(&concurrent, "concurrent", 1, "how many viewers at once; each decodes in software on the same CPUs, and "+
			"each new window disturbs the others")
	cmd.Flags().Float64Var(&lateSeconds, "late", late, "seconds after the offer at which latency is measured again")
	return cmd
}

// warmRows tells of the join that the browser began with.
func warmRows(j *browser.OneJoin) []row {
	if j == nil {
		return nil
	}
	if j.Error != "" {
		return []row{figures("first page of a browser just started", "ms", nil).want("a picture", false)}
	}
	return []row{
		figures(
			"first page of a browser just started, apart: offer to first decoded frame",
			"ms",
			[]float64{j.FirstPresentedMs},
		),
		figures("  longest time the machine let that page wait", "ms", []float64{j.StallMs}),
	}
}

func joinRows(joins []browser.OneJoin, fps int, lateSeconds float64) []row {
	var failed, connected, received, first, called, age, rate, freezes, asked, lost, drift, driftReceived, stalls []float64
	p50 := func(d *browser.Distribution) float64 {
		if d == nil {
			return math.NaN()
		}
		return d.P50
	}
	for _, j := range joins {
		if j.Error != "" {
			failed = append(failed, 1)
			continue
		}
		failed = append(failed, 0)
		first = append(first, j.FirstPresentedMs)
		called = append(called, j.FirstCalledMs)
		for _, at := range []struct {
			ms   *float64
			into *[]float64
		}{{j.ConnectedMs, &connected}, {j.FirstReceivedMs, &received}} {
			if at.ms != nil {
				*at.into = append(*at.into, *at.ms)
			}
		}
		if j.FirstAgeMs != nil {
			age = append(age, *j.FirstAgeMs)
		}
		rate = append(rate, math.Abs(j.FPS-float64(fps)))
		freezes = append(freezes, float64(j.Freezes))
		stalls = append(stalls, j.StallMs)
		asked = append(asked, float64(j.KeyFrameRequests))
		lost = append(lost, float64(j.PacketsLost))
		drift = append(drift, math.Abs(p50(j.Early.Presented)-p50(j.Late.Presented)))
		driftReceived = append(driftReceived, math.Abs(p50(j.Early.Received)-p50(j.Late.Received)))
	}
	frame := 1000 / float64(fps)
	noPicture, firstRow := figures(
		"joins without a picture",
		"",
		failed,
	), figures(
		"offer to first decoded frame",
		"ms",
		first,
	)
	rateRow, freezeRow := figures("decode rate off the source's", "fps", rate), figures("freezes", "", freezes)
	driftRow := figures(fmt.Sprintf("latency after %g s against %g s", early, lateSeconds), "ms", drift)
	return []row{
		noPicture.want("0", noPicture.Max == 0),
		firstRow.want("p95 <= 500", firstRow.P95 <= 500),
		figures("  to ICE and DTLS, as the page is told", "ms", connected),
		figures("  to the last packet of the first picture", "ms", received),
		figures("offer to the page's frame callback", "ms", called),
		figures("age of the first picture", "ms", age),
		rateRow.want("<= 1", rateRow.Max <= 1),
		freezeRow.want("0", freezeRow.Max == 0),
		driftRow.want(fmt.Sprintf("< %.1f, one frame", frame), driftRow.Max < frame),
		figures("  the same up to the last packet", "ms", driftReceived),
		figures("key frames asked for", "", asked),
		figures("packets lost", "", lost),
		figures("longest time the machine let the page wait", "ms", stalls),
	}
}
