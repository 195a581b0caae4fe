package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/millrace/millrace/e2e/lossy"
)

type lossOptions struct {
	viewers []int
	percent []float64
	mbps    float64
	rtt     time.Duration
	seconds int
	seed    uint64
}

func newLossCommand() *cobra.Command {
	var o lossOptions
	cmd := &cobra.Command{
		Use: "loss", Short: "What viewers behind random loss still decode", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return runLoss(cmd.Context(), o, cmd.OutOrStdout()) },
	}
	f := cmd.Flags()
	f.IntSliceVar(&o.viewers, "viewers", []int{1, 20}, "numbers of viewers")
	f.Float64SliceVar(&o.percent, "percent", []float64{0, 1, 5, 10, 20, 30}, "random loss in both directions")
	f.Float64Var(&o.mbps, "mbps", 2, "bit rate of the stream in Mbit/s")
	f.DurationVar(&o.rtt, "rtt", 40*time.Millisecond, "round-trip time")
	f.IntVar(&o.seconds, "seconds", 20, "how long packets are lost")
	f.Uint64Var(&o.seed, "seed", 1, "of the chance")
	return cmd
}

// runLoss prints a row for each number of viewers and each loss.
func runLoss(ctx context.Context, o lossOptions, w io.Writer) error {
	server, err := startServer(ctx, "ours", options{srtp: "gcm"}, o.mbps, nil)
	if err != nil {
		return err
	}
	defer server.stop()
	settle(ctx, time.Second)
	fmt.Fprintf(
		w,
		"%s\n%g Mbit/s, 30 frames/s, RTT %s, packets lost at random for %d s in both directions, lean client with NACK "+
			"and RTX\n\n",
		machine(),
		o.mbps,
		o.rtt,
		o.seconds,
	)
	t := tabwriter.NewWriter(w, 0, 4, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(
		t,
		"viewers\tloss\tdecodable\tdropped\trecovered\tlost\tasked\trepeats\tkey requests\tlatency p50\tp95\tp99 ms\t",
	)
	for _, viewers := range o.viewers {
		for _, percent := range o.percent {
			fmt.Fprintf(os.Stderr, "%d viewers, %g %% ...\n", viewers, percent)
			if err := lossCase(ctx, server, o, viewers, percent/100, t); err != nil {
				return err
			}
		}
	}
	return t.Flush()
}

// lossCase lets viewers join over a good network, makes it bad for a while, and looks again when all repairs are over.
func lossCase(ctx context.Context, server *child, o lossOptions, viewers int, share float64, w io.Writer) error {
	proxy, err := lossy.New(lossy.Options{Seed: o.seed, Link: lossy.Link{Delay: o.rtt / 2}})
	if err != nil {
		return err
	}
	defer proxy.Close()
	front, err := lossy.NewFront(ctx, proxy, server.addr, nil)
	if err != nil {
		return err
	}
	defer front.Close()
	a, err := newAudience(ctx, front.Addr(), false, "gcm")
	if err != nil {
		return err
	}
	defer a.leave()
	a.join(viewers, time.Duration(viewers)*20*time.Millisecond)
	if err := a.playing(ctx, viewers, 30*time.Second); err != nil {
		return err
	}
	settle(ctx, 2*time.Second)
	from, err := server.counts(ctx)
	if err != nil {
		return err
	}
	before, dropped := add(a.look()), proxy.Counts(lossy.ToPlayer).Lost
	proxy.Set(lossy.Link{Delay: o.rtt / 2, Loss: share})
	settle(ctx, time.Duration(o.seconds)*time.Second)
	proxy.Set(lossy.Link{Delay: o.rtt / 2})
	settle(ctx, 2500*time.Millisecond)
	after := add(a.look())
	to, err := server.counts(ctx)
	if err != nil {
		return err
	}
	made := float64(viewers) * float64(o.seconds) / frameTime.Seconds()
	fmt.Fprintf(
		w,
		"%d\t%g %%\t%.2f %%\t%d\t%d\t%d\t%d\t%d\t%d\t%.1f\t%.1f\t%.1f\t\n",
		viewers,
		100*share,
		100*(1-(after.missing-before.missing)/made),
		proxy.Counts(
			lossy.ToPlayer,
		).Lost-dropped,
		after.recovered-before.recovered,
		int64(after.lost)-int64(before.lost),
		after.asked-before.asked,
		to.Repeats-from.Repeats,
		after.keyRequests-before.keyRequests,
		quantile(before, after, 0.5),
		quantile(before, after, 0.95),
		quantile(before, after, 0.99),
	)
	return nil
}
