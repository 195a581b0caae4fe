package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"
)

type memoryOptions struct {
	few, many int
	mbps      float64
	seconds   int
}

func newMemoryCommand() *cobra.Command {
	var o memoryOptions
	cmd := &cobra.Command{
		Use: "memory", Short: "What a connected viewer keeps of the server's memory", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return runMemory(cmd.Context(), o, cmd.OutOrStdout()) },
	}
	f := cmd.Flags()
	f.IntVar(&o.few, "few", 100, "viewers at the first look")
	f.IntVar(&o.many, "many", 500, "viewers at the second look")
	f.Float64Var(&o.mbps, "mbps", 0.6, "bit rate of the stream in Mbit/s")
	f.IntVar(&o.seconds, "seconds", 10, "time from the last join to a look")
	return cmd
}

// runMemory prints the slope of the resident set between two numbers of viewers, over UDP and over ICE-TCP.
func runMemory(ctx context.Context, o memoryOptions, w io.Writer) error {
	fmt.Fprintf(
		w,
		"%s\nfrom %d to %d viewers of %g Mbit/s, each look %d s after the last join\n\n",
		machine(),
		o.few,
		o.many,
		o.mbps,
		o.seconds,
	)
	t := tabwriter.NewWriter(w, 0, 4, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(
		t,
		"transport\tRSS at first\tat last MB\tkB/viewer\tafter a collection: at first\tat last MB\tkB/viewer\t",
	)
	for _, tcp := range []bool{false, true} {
		name := "UDP"
		if tcp {
			name = "ICE-TCP"
		}
		fmt.Fprintf(os.Stderr, "%s ...\n", name)
		few, many, err := memoryCase(ctx, o, tcp)
		if err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		more := float64(o.many-o.few) * 1000
		fmt.Fprintf(
			t,
			"%s\t%.1f\t%.1f\t%.0f\t%.1f\t%.1f\t%.0f\t\n",
			name,
			float64(few.RSS)/1e6,
			float64(many.RSS)/1e6,
			float64(many.RSS-few.RSS)/more,
			float64(few.Collected)/1e6,
			float64(many.Collected)/1e6,
			float64(many.Collected-few.Collected)/more,
		)
	}
	return t.Flush()
}

func memoryCase(ctx context.Context, o memoryOptions, tcp bool) (few, many counts, err error) {
	server, err := startServer(ctx, "ours", options{srtp: "gcm"}, o.mbps, nil)
	if err != nil {
		return few, many, err
	}
	defer server.stop()
	settle(ctx, time.Second)
	a, err := newAudience(ctx, server.addr, tcp, "gcm")
	if err != nil {
		return few, many, err
	}
	defer a.leave()
	look := func(more, all int) (counts, error) {
		a.join(more, time.Duration(more)*10*time.Millisecond)
		if err := a.playing(ctx, all, 60*time.Second); err != nil {
			return counts{}, err
		}
		settle(ctx, time.Duration(o.seconds)*time.Second)
		c, err := server.ask(ctx, "")
		if err != nil {
			return c, err
		}
		collected, err := server.ask(ctx, "?collect=true")
		c.Collected = collected.RSS
		return c, err
	}
	if few, err = look(o.few, o.few); err != nil {
		return few, many, err
	}
	many, err = look(o.many-o.few, o.many)
	return few, many, err
}
