// Command bench compares what a viewer costs: our relay, the same relay through pion/webrtc's own media path, and the
// floor of a bare loop that seals and sends. Each server is a process of its own, whose CPU alone is counted; all have
// the same synthetic stream and the same client (`millrace play`'s lean one), on loopback, in one run.
//
//	go run ./e2e/bench                                # 50, 200 and 500 viewers; 0.6, 2 and 6 Mbit/s
//	go run ./e2e/bench --viewers 200 --mbps 2         # one case
//	go run ./e2e/bench all                            # all of it, in about ten minutes
//	go run ./e2e/bench loss                           # what viewers behind random loss still decode
//	go run ./e2e/bench neighbours                     # what the others notice of them
//	go run ./e2e/bench crowd                          # 300 joins within a second while 100 watch
//	go run ./e2e/bench memory                         # what a connected viewer keeps of the server's memory
//	go run ./e2e/bench flv                            # 2000 readers of HTTP-FLV: losses, CPU, memory
//	go run ./e2e/bench slow                           # what 500 of them notice of 100 that read 10 kbit/s
//	go run ./e2e/bench transcode                      # renditions: a cold crowd, ffmpeg killed, idleness, cost
//
// The method is written down in docs/benchmarks/README.md.
package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/spf13/cobra"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	root := newRoot()
	err := root.ExecuteContext(ctx)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

// options of a run.
type options struct {
	viewers []int
	mbps    []float64
	seconds int
	srtp    string
	out     string
}

func newRoot() *cobra.Command {
	var o options
	root := &cobra.Command{
		Use: "bench", Short: "Compare the cost of a viewer", SilenceUsage: true, SilenceErrors: true, Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return runAll(cmd.Context(), o, cmd.OutOrStdout()) },
	}
	f := root.Flags()
	f.IntSliceVar(&o.viewers, "viewers", []int{50, 200, 500}, "numbers of viewers")
	f.Float64SliceVar(&o.mbps, "mbps", []float64{0.6, 2, 6}, "bit rates of the stream in Mbit/s")
	f.IntVar(&o.seconds, "seconds", 10, "how long each case is measured after all viewers have joined")
	f.StringVar(&o.srtp, "srtp", "gcm", "protection profile: gcm or sha1")
	f.StringVar(&o.out, "out", "", "folder for bench.json and bench.svg; empty writes none")
	root.AddCommand(
		newServeCommand(),
		newLossCommand(),
		newNeighboursCommand(),
		newCrowdCommand(),
		newMemoryCommand(),
		newFLVCommand(),
		newSlowCommand(),
		newTranscodeCommand(),
		newAllCommand(),
	)
	return root
}

// newServeCommand is the server of a case, started by the benchmark itself.
func newServeCommand() *cobra.Command {
	var spec serverSpec
	cmd := &cobra.Command{
		Use: "serve KIND", Hidden: true, Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			spec.Kind = args[0]
			return serve(cmd.Context(), spec)
		},
	}
	f := cmd.Flags()
	f.Float64Var(&spec.Mbps, "mbps", 2, "")
	f.StringVar(&spec.SRTP, "srtp", "gcm", "")
	f.StringSliceVar(&spec.Sinks, "sinks", nil, "")
	return cmd
}

// frameTime is the distance of frames: 30 a second.
const frameTime = time.Second / 30

// gopFrames is the distance of key frames: 2 s.
const gopFrames = 60
