package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/millrace/millrace/e2e/browser"
	"github.com/millrace/millrace/e2e/stack"
)

// settle is how long players have to get to the live edge, in seconds after they began: FLV begins up to a GOP behind
// it and catches up.
const settle = 10.0

func newStandardCommand() *cobra.Command {
	var s source
	var seconds float64
	var joins int
	cmd := &cobra.Command{
		Use: "standard",
		Short: "RTS, FLV (mpegts.js) and low-latency HLS (hls.js) of one publisher, one after the other: the age of every " +
			"picture; joins of FLV",
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			limit := 3*time.Minute + time.Duration((3*(settle+seconds)+float64(joins)*15)*float64(time.Second))
			gap := [2]float64{0.1, 2 + s.gop}
			raw, rep, err := run(cmd.Context(), s, limit, func(server *stack.Stack) []browser.Step {
				flv, hls := server.Standard(
					"http",
					stack.Open,
					stream,
					".flv",
				), server.Standard(
					"http",
					stack.Open,
					stream,
					".m3u8",
				)
				return []browser.Step{
					{
						Kind:         browser.Join,
						URL:          server.Page("http", stack.Open, stream),
						Joins:        1,
						Early:        early,
						Late:         settle + seconds - span/2,
						Span:         span,
						AllFrames:    true,
						LimitSeconds: 20,
					},
					{Kind: browser.Standard, Player: "mpegts.js", URL: flv, WatchSeconds: settle + seconds, AllFrames: true},
					{Kind: browser.Standard, Player: "hls.js", URL: hls, WatchSeconds: settle + seconds, AllFrames: true},
					{Kind: browser.Standard, Player: "mpegts.js", URL: flv, WatchSeconds: 1, Joins: joins, GapSeconds: &gap},
				}
			})
			if err != nil {
				return err
			}
			var rts browser.JoinResult
			var flv, hls, joined browser.StandardResult
			for i, into := range []any{&rts, &flv, &hls, &joined} {
				if err := json.Unmarshal(raw[i], into); err != nil {
					return fmt.Errorf("reading the browser's figures: %w", err)
				}
			}
			if len(rts.Joins) != 1 || rts.Joins[0].Error != "" || len(flv.Plays) != 1 || len(hls.Plays) != 1 {
				return errors.New("a viewer saw no picture")
			}
			rep.Raw = map[string]any{"rts": rts.Joins[0], "flv": flv.Plays[0], "hls": hls.Plays[0], "joins": joined.Plays}
			rep.Rows = append(standardRows(rts.Joins[0], flv.Plays[0], hls.Plays[0]), standardJoinRows(joined.Plays)...)
			return s.finish(rep, cmd.OutOrStdout())
		},
	}
	s.addTo(cmd, 3)
	cmd.Flags().Float64Var(&seconds, "seconds", 60, "how long each is watched, after the first ten seconds")
	cmd.Flags().IntVar(&joins, "joins", 20, "how many joins of FLV")
	return cmd
}

// ages are those of the pictures from settle on, when the decoded frame went to the compositor.
func ages(samples []browser.Sample) (presented []float64) {
	for _, sample := range samples {
		if sample.Since >= settle && sample.Presented != nil {
			presented = append(presented, *sample.Presented)
		}
	}
	return presented
}

func standardRows(rts browser.OneJoin, flv, hls browser.StandardPlay) []row {
	one := func(v float64) []float64 { return []float64{v} }
	rtsRow := figures("RTS: drawing to decoded frame", "ms", ages(rts.Samples))
	flvRow := figures("FLV, mpegts.js: the same", "ms", ages(flv.Samples))
	hlsRow := figures("low-latency HLS, hls.js: the same", "ms", ages(hls.Samples))
	ratio := figures("RTS / FLV, of the medians", "%", nil)
	if flvRow.N > 0 && rtsRow.N > 0 {
		ratio = figures("RTS / FLV, of the medians", "%", one(100*rtsRow.P50/flvRow.P50))
	}
	rows := []row{
		rtsRow,
		flvRow.want("p50 <= 1000", flvRow.P50 <= 1000),
		hlsRow.want("p50 <= 2000", hlsRow.P50 <= 2000),
		ratio.want("<= 25", ratio.Max <= 25),
		figures("RTS: freezes", "", one(float64(rts.Freezes))),
		figures("RTS: longest time the machine let the page wait", "ms", one(rts.StallMs)),
	}
	for _, p := range []struct {
		name string
		play browser.StandardPlay
	}{{"FLV", flv}, {"low-latency HLS", hls}} {
		rows = append(rows,
			figures(p.name+": first picture, from load()", "ms", one(p.play.FirstPresentedMs)),
			figures(p.name+": freezes", "", one(float64(p.play.Freezes))),
			figures(p.name+": frames dropped by the browser", "", one(float64(p.play.FramesDropped))),
			figures(p.name+": longest time the machine let the page wait", "ms", one(p.play.StallMs)),
			figures(p.name+": pictures with an unreadable barcode", "", one(float64(p.play.Unread))),
		)
	}
	return rows
}

func standardJoinRows(plays []browser.StandardPlay) []row {
	var failed, first, age, stalls []float64
	for _, p := range plays {
		if p.Error != "" {
			failed = append(failed, 1)
			continue
		}
		failed = append(failed, 0)
		first = append(first, p.FirstPresentedMs)
		stalls = append(stalls, p.StallMs)
		if p.FirstAgeMs != nil {
			age = append(age, *p.FirstAgeMs)
		}
	}
	noPicture, firstRow := figures(
		"FLV joins without a picture",
		"",
		failed,
	), figures(
		"FLV joins: load() to first decoded frame",
		"ms",
		first,
	)
	return []row{
		noPicture.want("0", noPicture.Max == 0),
		firstRow.want("p95 <= 700", firstRow.P95 <= 700),
		figures("  age of the first picture", "ms", age),
		figures("  longest time the machine let the page wait", "ms", stalls),
	}
}
