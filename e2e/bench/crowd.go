package main

import (
	"context"
	"fmt"
	"io"
	"slices"
	"time"

	"github.com/spf13/cobra"
)

type crowdOptions struct {
	watching, joins int
	within          time.Duration
	mbps            float64
}

func newCrowdCommand() *cobra.Command {
	var o crowdOptions
	cmd := &cobra.Command{
		Use: "crowd", Short: "Many joins at once while others watch", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return runCrowd(cmd.Context(), o, cmd.OutOrStdout()) },
	}
	f := cmd.Flags()
	f.IntVar(&o.watching, "watching", 100, "viewers that watch already")
	f.IntVar(&o.joins, "joins", 300, "viewers that join")
	f.DurationVar(&o.within, "within", time.Second, "time over which they come")
	f.Float64Var(&o.mbps, "mbps", 2, "bit rate of the stream in Mbit/s")
	return cmd
}

func runCrowd(ctx context.Context, o crowdOptions, w io.Writer) error {
	server, err := startServer(ctx, "ours", options{srtp: "gcm"}, o.mbps, nil)
	if err != nil {
		return err
	}
	defer server.stop()
	settle(ctx, 2500*time.Millisecond) // a whole GOP is there
	old, err := newAudience(ctx, server.addr, false, "gcm")
	if err != nil {
		return err
	}
	defer old.leave()
	old.join(o.watching, 3*time.Second)
	if err := old.playing(ctx, o.watching, 30*time.Second); err != nil {
		return err
	}
	settle(ctx, 3*time.Second)
	crowd, err := newAudience(ctx, server.addr, false, "gcm")
	if err != nil {
		return err
	}
	defer crowd.leave()
	from, err := server.counts(ctx)
	if err != nil {
		return err
	}
	before, began := add(old.look()), time.Now()
	crowd.join(o.joins, o.within)
	missed := crowd.playing(ctx, o.joins, 30*time.Second)
	took := time.Since(began)
	to, err := server.counts(ctx)
	if err != nil {
		return err
	}
	settle(ctx, 2*time.Second)
	after := add(old.look())

	var joins []float64
	playing := 0
	for _, s := range crowd.look() {
		if s.Playing() {
			playing++
			joins = append(joins, s.FirstFrameMs)
		}
	}
	slices.Sort(joins)
	fmt.Fprintf(
		w,
		"%s\n%d joins within %s while %d viewers watch %g Mbit/s; server and viewers share the machine\n\n",
		machine(),
		o.joins,
		o.within,
		o.watching,
		o.mbps,
	)
	fmt.Fprintf(w, "play: %d of %d, the last after %.2f s\n", playing, o.joins, took.Seconds())
	fmt.Fprintf(
		w,
		"join (offer to first decodable frame): p50 %.0f ms, p95 %.0f ms, longest %.0f ms\n",
		at(joins, 0.5),
		at(joins, 0.95),
		at(joins, 1),
	)
	fmt.Fprintf(
		w,
		"server CPU meanwhile: %.2f s, of it per join at most %.2f ms\n",
		to.CPUSeconds-from.CPUSeconds,
		1000*(to.CPUSeconds-from.CPUSeconds)/float64(o.joins),
	)
	fmt.Fprintf(
		w,
		"the %d that watched: lost %d packets of %d, recovered %d, their own sockets dropped %d; delivery p99 %.1f ms\n",
		o.watching,
		int64(
			after.lost,
		)-int64(
			before.lost,
		),
		after.packets-before.packets,
		after.recovered-before.recovered,
		after.drops-before.drops,
		quantile(before, after, 0.99),
	)
	if missed != nil {
		return fmt.Errorf("not all play: %w", missed)
	}
	return nil
}
