package main

import (
	"context"
	"fmt"
	"io"
	"runtime"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/millrace/millrace/internal/play/flv"
	"github.com/millrace/millrace/internal/play/meter"
)

type slowOptions struct {
	good, slow, kbps int
	mbps             float64
	seconds, rounds  int
	out              string
}

func newSlowCommand() *cobra.Command {
	var o slowOptions
	cmd := &cobra.Command{
		Use: "slow", Short: "What readers of HTTP-FLV notice of others that read too slowly", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return runSlow(cmd.Context(), o, cmd.OutOrStdout()) },
	}
	f := cmd.Flags()
	f.IntVar(&o.good, "good", 500, "readers that read all")
	f.IntVar(&o.slow, "slow", 100, "readers that do not, in every second phase")
	f.IntVar(&o.kbps, "kbps", 10, "kbit/s that a slow reader reads")
	f.Float64Var(&o.mbps, "mbps", 0.6, "bit rate of the stream in Mbit/s")
	f.IntVar(&o.seconds, "seconds", 15, "length of a phase")
	f.IntVar(&o.rounds, "rounds", 3, "how often the phases alternate")
	f.StringVar(&o.out, "out", "", "folder for bench-slow.json; empty writes none")
	return cmd
}

// slowResult is what a run with slow readers gave.
type slowResult struct {
	When      time.Time          `json:"when"`
	Machine   string             `json:"machine"`
	Go        string             `json:"go"`
	Good      int                `json:"good"`
	Slow      int                `json:"slow"`
	Kbps      int                `json:"slowKbps"`
	Mbps      float64            `json:"mbps"`
	Without   meter.Quantiles    `json:"withoutMs"` // delivery to the good ones
	With      meter.Quantiles    `json:"withMs"`
	P99       [2][]float64       `json:"p99OfPhasesMs"`
	CPU       [2]float64         `json:"serverCpuShare"`
	Lost      uint64             `json:"lost"` // by the good ones
	Faults    uint64             `json:"faults"`
	SlowBytes uint64             `json:"slowBytes"`
	Backlog   float64            `json:"backlogMaxMs"`   // the most that was seen
	Growth    float64            `json:"serverGrowthMB"` // of the resident set, with the slow ones at most
	Metrics   map[string]float64 `json:"metrics"`        // of the edge at the end
}

// runSlow compares the delivery to the good readers without and with slow ones beside them, in alternating phases of
// one run.
func runSlow(ctx context.Context, o slowOptions, w io.Writer) error {
	server, err := startServer(ctx, "edge", options{srtp: "gcm"}, o.mbps, nil)
	if err != nil {
		return err
	}
	defer server.stop()
	settle(ctx, 2500*time.Millisecond)
	crowd, err := newCrowd(ctx, server)
	if err != nil {
		return err
	}
	defer crowd.Close()
	good := crowd.Add(o.good, 0, time.Duration(o.good)*5*time.Millisecond, 0)
	if err := awaitFLV(ctx, good, o.good, time.Minute); err != nil {
		return err
	}
	settle(ctx, 3*time.Second)
	r := &slowResult{
		When:    time.Now().UTC().Truncate(time.Second),
		Machine: machine(),
		Go:      runtime.Version(),
		Good:    o.good,
		Slow:    o.slow,
		Kbps:    o.kbps,
		Mbps:    o.mbps,
	}
	start, err := server.counts(ctx)
	if err != nil {
		return err
	}
	var phases [2]meter.Histogram
	for range o.rounds {
		for i := range phases {
			var slow *flv.Part
			if i == 1 {
				slow = crowd.Add(o.slow, o.kbps*1000, time.Second, 0)
				settle(ctx, time.Second)
			}
			settle(ctx, time.Second) // what the last phase has begun is over
			if err := r.phase(ctx, o, server, good, start, &phases[i], i); err != nil {
				return err
			}
			if slow != nil {
				slow.Leave()
				r.SlowBytes += sumFLV(slow).bytes
			}
		}
	}
	all := sumFLV(good)
	r.Lost, r.Faults = all.lost, all.faults
	r.Without, r.With = *meter.DurationQuantiles(&phases[0]), *meter.DurationQuantiles(&phases[1])
	settle(ctx, time.Second)
	end, err := server.counts(ctx)
	if err != nil {
		return err
	}
	r.Metrics = end.Metrics
	r.print(w, o)
	if err := writeJSON(o.out, "bench-slow.json", r); err != nil {
		return err
	}
	if all.lost+all.faults > 0 || all.playing-all.ended != o.good {
		return fmt.Errorf(
			"of %d good readers %d play; they lost %d tags, %d are faulty",
			o.good,
			all.playing-all.ended,
			all.lost,
			all.faults,
		)
	}
	return nil
}

// phase measures one phase, and looks at the server meanwhile.
func (r *slowResult) phase(
	ctx context.Context,
	o slowOptions,
	server *child,
	good *flv.Part,
	start counts,
	into *meter.Histogram,
	i int,
) error {
	from, err := server.counts(ctx)
	if err != nil {
		return err
	}
	before := sumFLV(good)
	var to counts
	for range o.seconds {
		settle(ctx, time.Second)
		if to, err = server.counts(ctx); err != nil {
			return err
		}
		r.Backlog = max(r.Backlog, to.Metrics["millrace_edge_backlog_max_milliseconds"])
		r.Growth = max(r.Growth, float64(to.RSS-start.RSS)/1e6)
	}
	h := sumFLV(good).latency.Since(before.latency)
	into.Merge(h)
	r.P99[i] = append(r.P99[i], float64(h.Quantile(0.99))/float64(time.Millisecond))
	r.CPU[i] += (to.CPUSeconds - from.CPUSeconds) / float64(o.seconds*o.rounds)
	return nil
}

func (r *slowResult) print(w io.Writer, o slowOptions) {
	fmt.Fprintf(
		w,
		"%s, %s\n%d readers of HTTP-FLV of %g Mbit/s; in every second phase of %d s, %d more that read %d kbit/s; %d "+
			"rounds\n\n",
		r.Machine,
		r.Go,
		r.Good,
		r.Mbps,
		o.seconds,
		r.Slow,
		r.Kbps,
		o.rounds,
	)
	t := tabwriter.NewWriter(w, 0, 4, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintf(t, "the %d good ones\tdelivery p50\tp95\tp99 ms\tserver CPU\t\n", r.Good)
	for i, q := range []meter.Quantiles{r.Without, r.With} {
		fmt.Fprintf(
			t,
			"%s\t%.2f\t%.2f\t%.2f\t%.0f %%\t\n",
			[]string{"without slow ones", "with slow ones"}[i],
			q.P50,
			q.P95,
			q.P99,
			100*r.CPU[i],
		)
	}
	fmt.Fprintf(
		t,
		"ratio\t%.2f\t%.2f\t%.2f\t%.2f\t\n",
		r.With.P50/r.Without.P50,
		r.With.P95/r.Without.P95,
		r.With.P99/r.Without.P99,
		r.CPU[1]/r.CPU[0],
	)
	_ = t.Flush()
	fmt.Fprintf(
		w,
		"\np99 of each phase in ms: without %.1f, with %.1f; ratio of the medians %.2f\n",
		r.P99[0],
		r.P99[1],
		median(r.P99[1])/median(r.P99[0]),
	)
	fmt.Fprintf(
		w,
		"the good ones lost %d tags, %d were faulty; the slow ones read %d bytes\n",
		r.Lost,
		r.Faults,
		r.SlowBytes,
	)
	fmt.Fprintf(
		w,
		"the server grew by %.1f MB at most, the slowest reader was %.0f ms behind at most; its metrics at the end:\n",
		r.Growth,
		r.Backlog,
	)
	names := []string{}
	for name := range r.Metrics {
		if strings.Contains(name, "skip") || strings.Contains(name, "leaves") || strings.Contains(name, "joins") {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	for _, name := range names {
		fmt.Fprintf(w, "  %s %.0f\n", name, r.Metrics[name])
	}
}
