package main

import (
	"context"
	"fmt"
	"io"
	"slices"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/millrace/millrace/e2e/lossy"
	"github.com/millrace/millrace/internal/play/meter"
)

type neighboursOptions struct {
	viewers, bad int
	percent      float64
	mbps         float64
	rtt          time.Duration
	seconds      int
	rounds       int
}

func newNeighboursCommand() *cobra.Command {
	var o neighboursOptions
	cmd := &cobra.Command{
		Use: "neighbours", Short: "What viewers notice of others whose network is bad", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return runNeighbours(cmd.Context(), o, cmd.OutOrStdout()) },
	}
	f := cmd.Flags()
	f.IntVar(&o.viewers, "viewers", 100, "viewers in all")
	f.IntVar(&o.bad, "bad", 10, "of them, those whose network is bad")
	f.Float64Var(&o.percent, "percent", 30, "their loss in both directions")
	f.Float64Var(&o.mbps, "mbps", 2, "bit rate of the stream in Mbit/s")
	f.DurationVar(&o.rtt, "rtt", 40*time.Millisecond, "their round-trip time")
	f.IntVar(&o.seconds, "seconds", 6, "length of a phase")
	f.IntVar(&o.rounds, "rounds", 5, "how often the phases alternate")
	return cmd
}

// runNeighbours compares the good viewers' delivery while the bad ones lose packets with the same while they lose none.
// The phases alternate in one run, so that what else the machine does falls on both.
func runNeighbours(ctx context.Context, o neighboursOptions, w io.Writer) error {
	server, err := startServer(ctx, "ours", options{srtp: "gcm"}, o.mbps, nil)
	if err != nil {
		return err
	}
	defer server.stop()
	clean := lossy.Link{Delay: o.rtt / 2}
	proxy, err := lossy.New(lossy.Options{Seed: 1, Link: clean})
	if err != nil {
		return err
	}
	defer proxy.Close()
	front, err := lossy.NewFront(ctx, proxy, server.addr, nil)
	if err != nil {
		return err
	}
	defer front.Close()
	settle(ctx, time.Second)
	good, err := newAudience(ctx, server.addr, false, "gcm")
	if err != nil {
		return err
	}
	defer good.leave()
	bad, err := newAudience(ctx, front.Addr(), false, "gcm")
	if err != nil {
		return err
	}
	defer bad.leave()
	for _, part := range []struct {
		a *audience
		n int
	}{{good, o.viewers - o.bad}, {bad, o.bad}} {
		part.a.join(part.n, 2*time.Second)
		if err := part.a.playing(ctx, part.n, 30*time.Second); err != nil {
			return err
		}
	}
	settle(ctx, 3*time.Second)
	var phases [2]meter.Histogram // of the good: without loss, with loss
	var tails [2][]float64        // p99 of each phase alone, in ms
	var cpu [2][2]float64         // seconds of the server and of the viewers with the proxy
	first := good.look()
	for range o.rounds {
		for i, link := range []lossy.Link{clean, {Delay: clean.Delay, Loss: o.percent / 100}} {
			proxy.Set(link)
			settle(ctx, time.Second) // what the last phase has begun is over
			before, self := add(good.look()), measured(counts{})
			from, err := server.counts(ctx)
			if err != nil {
				return err
			}
			settle(ctx, time.Duration(o.seconds)*time.Second)
			to, err := server.counts(ctx)
			if err != nil {
				return err
			}
			after := add(good.look())
			phases[i].Merge(after.latency.Since(&before.latency))
			tails[i] = append(tails[i], quantile(before, after, 0.99))
			cpu[i][0] += to.CPUSeconds - from.CPUSeconds
			cpu[i][1] += measured(counts{}).CPUSeconds - self.CPUSeconds
		}
	}
	proxy.Set(clean)
	from, to := add(first), add(good.look())
	fmt.Fprintf(
		w,
		"%s\n%d viewers of %g Mbit/s, %d of them behind %g %% loss at RTT %s in every second phase of %d s, %d rounds\n\n",
		machine(),
		o.viewers,
		o.mbps,
		o.bad,
		o.percent,
		o.rtt,
		o.seconds,
		o.rounds,
	)
	t := tabwriter.NewWriter(w, 0, 4, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintf(t, "the other %d\tframes\tdelivery p50\tp95\tp99 ms\tCPU: server\tviewers and proxy\t\n", o.viewers-o.bad)
	ms := func(h *meter.Histogram, q float64) float64 { return float64(h.Quantile(q)) / float64(time.Millisecond) }
	for i, name := range []string{"without loss", "with loss"} {
		h := &phases[i]
		share := 100 / float64(o.seconds*o.rounds)
		fmt.Fprintf(
			t,
			"%s\t%d\t%.2f\t%.2f\t%.2f\t%.0f %%\t%.0f %%\t\n",
			name,
			h.Count(),
			ms(h, 0.5),
			ms(h, 0.95),
			ms(h, 0.99),
			share*cpu[i][0],
			share*cpu[i][1],
		)
	}
	fmt.Fprintf(
		t,
		"ratio\t\t%.2f\t%.2f\t%.2f\t%.2f\t%.2f\t\n",
		ms(&phases[1], 0.5)/ms(&phases[0], 0.5),
		ms(&phases[1], 0.95)/ms(&phases[0], 0.95),
		ms(&phases[1], 0.99)/ms(&phases[0], 0.99),
		cpu[1][0]/cpu[0][0],
		cpu[1][1]/cpu[0][1],
	)
	if err := t.Flush(); err != nil {
		return fmt.Errorf("writing the figures: %w", err)
	}
	fmt.Fprintf(
		w,
		"\np99 of each phase in ms: without loss %.1f, with loss %.1f; ratio of the medians %.2f\n",
		tails[0],
		tails[1],
		median(tails[1])/median(tails[0]),
	)
	fmt.Fprintf(
		w,
		"Packets that the others lost: %d (their own sockets dropped %d); that the proxy dropped on the way to the bad: %d\n",
		to.lost-from.lost,
		to.drops-from.drops,
		proxy.Counts(lossy.ToPlayer).Lost,
	)
	return nil
}

func median(values []float64) float64 {
	sorted := slices.Sorted(slices.Values(values))
	n := len(sorted)
	return (sorted[(n-1)/2] + sorted[n/2]) / 2
}
