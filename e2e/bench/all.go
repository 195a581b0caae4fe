package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"
)

func newAllCommand() *cobra.Command {
	var out string
	cmd := &cobra.Command{
		Use: "all", Short: "Everything in one run, in about ten minutes", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return runEverything(cmd.Context(), out, cmd.OutOrStdout())
		},
	}
	cmd.Flags().StringVar(&out, "out", "", "folder for the figures and pictures; empty writes none")
	return cmd
}

// part is one measurement of a whole run.
type part struct {
	name string
	run  func(context.Context, io.Writer) error
}

// parts are the measurements of a whole run, with times so short that it stays bearable.
func parts(out string) []part {
	const seconds = 4
	return []part{
		{"cost of a viewer, GCM", func(ctx context.Context, w io.Writer) error {
			return runAll(
				ctx,
				options{viewers: []int{50, 200, 500}, mbps: []float64{0.6, 2, 6}, seconds: seconds, srtp: "gcm", out: out},
				w,
			)
		}},
		{"cost of a viewer, SHA1_80", func(ctx context.Context, w io.Writer) error {
			return runAll(ctx, options{viewers: []int{200}, mbps: []float64{2}, seconds: seconds, srtp: "sha1", out: out}, w)
		}},
		{"memory", func(ctx context.Context, w io.Writer) error {
			return runMemory(ctx, memoryOptions{few: 100, many: 500, mbps: 0.6, seconds: 5}, w)
		}},
		{"crowd", func(ctx context.Context, w io.Writer) error {
			return runCrowd(ctx, crowdOptions{watching: 100, joins: 300, within: time.Second, mbps: 2}, w)
		}},
		{"neighbours", func(ctx context.Context, w io.Writer) error {
			return runNeighbours(
				ctx,
				neighboursOptions{viewers: 100, bad: 10, percent: 30, mbps: 2, rtt: 40 * time.Millisecond, seconds: 3, rounds: 7},
				w,
			)
		}},
		{"HTTP-FLV", func(ctx context.Context, w io.Writer) error {
			return runFLV(ctx, flvOptions{few: 200, readers: 2000, mbps: 0.6, seconds: 15, out: out}, w)
		}},
		{"slow readers", func(ctx context.Context, w io.Writer) error {
			return runSlow(ctx, slowOptions{good: 500, slow: 100, kbps: 10, mbps: 0.6, seconds: 12, rounds: 3, out: out}, w)
		}},
		{"loss", func(ctx context.Context, w io.Writer) error {
			return runLoss(
				ctx,
				lossOptions{
					viewers: []int{20},
					percent: []float64{1, 5, 10, 20, 30},
					mbps:    2,
					rtt:     40 * time.Millisecond,
					seconds: 10,
					seed:    1,
				},
				w,
			)
		}},
	}
}

// runEverything goes through all parts. One that fails is told, and the others are measured all the same. The text is
// kept beside the figures.
func runEverything(ctx context.Context, out string, w io.Writer) error {
	var text bytes.Buffer
	both := io.MultiWriter(w, &text)
	began := time.Now()
	var failed []error
	all := parts(out)
	for i, p := range all {
		fmt.Fprintf(os.Stderr, "%d of %d, after %s: %s\n", i+1, len(all), time.Since(began).Round(time.Second), p.name)
		fmt.Fprintf(both, "# %s\n\n", p.name)
		if err := p.run(ctx, both); err != nil {
			fmt.Fprintf(both, "failed: %v\n", err)
			failed = append(failed, fmt.Errorf("%s: %w", p.name, err))
		}
		fmt.Fprintln(both)
		if ctx.Err() != nil {
			break
		}
	}
	fmt.Fprintf(os.Stderr, "done after %s\n", time.Since(began).Round(time.Second))
	if out != "" {
		if err := os.MkdirAll(out, 0o755); err != nil {
			failed = append(failed, fmt.Errorf("making %s: %w", out, err))
		} else if err := os.WriteFile(filepath.Join(out, "bench.txt"), text.Bytes(), 0o600); err != nil {
			failed = append(failed, fmt.Errorf("writing the text: %w", err))
		}
	}
	return errors.Join(failed...)
}
