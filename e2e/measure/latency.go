package main

import (
	"errors"
	"math"
	"time"

	"github.com/spf13/cobra"

	"github.com/millrace/millrace/e2e/browser"
)

func newLatencyCommand() *cobra.Command {
	var s source
	var seconds float64
	cmd := &cobra.Command{
		Use:   "latency",
		Short: "The age of every picture that one viewer sees, from the publisher's clock to the decoded frame",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			end := early + seconds
			result, rep, err := play(cmd.Context(), s, browser.Step{
				Joins: 1, Early: early, Late: end - span/2, Span: span, AllFrames: true, LimitSeconds: 20,
			}, 2*time.Minute+time.Duration(seconds*float64(time.Second)))
			if err != nil {
				return err
			}
			if len(result.Joins) != 1 || result.Joins[0].Error != "" {
				return errors.New("the viewer saw no picture: " + result.Joins[0].Error)
			}
			rep.Rows = latencyRows(result.Joins[0], early)
			return s.finish(rep, cmd.OutOrStdout())
		},
	}
	s.addTo(cmd, 2)
	cmd.Flags().Float64Var(&seconds, "seconds", 60, "how long, after the first two seconds")
	return cmd
}

func latencyRows(j browser.OneJoin, from float64) []row {
	var received, presented, called, decode []float64
	value := func(p *float64) float64 {
		if p == nil {
			return math.NaN()
		}
		return *p
	}
	for _, sample := range j.Samples {
		if sample.Since < from {
			continue
		}
		received = append(received, value(sample.Received))
		presented = append(presented, value(sample.Presented))
		called = append(called, value(sample.Called))
		decode = append(decode, value(sample.DecodeMs))
	}
	decoded := figures("drawing to decoded frame", "ms", presented)
	return []row{
		decoded.want("p50 <= 150, p95 <= 250", decoded.P50 <= 150 && decoded.P95 <= 250),
		figures("drawing to last packet in the browser", "ms", received),
		figures("drawing to the page's frame callback", "ms", called),
		figures("decoding", "ms", decode),
		figures("what the player itself shows", "ms", []float64{value(j.PlayerLatencyMs)}),
		figures("freezes", "", []float64{float64(j.Freezes)}),
		figures("packets lost", "", []float64{float64(j.PacketsLost)}),
		figures("pictures with an unreadable barcode", "", []float64{float64(j.Unread)}),
	}
}
