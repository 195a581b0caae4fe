// Command millrace turns YAML manifests into a low-latency live-streaming service, and carries the tools to try it.
//
// Exit status: 0 when the command did its work, 1 when it ran and failed (nothing played, a manifest is wrong, a port
// is taken), 2 when it was called wrongly.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"github.com/go-logr/logr"
	"github.com/go-logr/zapr"
	"github.com/spf13/cobra"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"

	"github.com/millrace/millrace/controllers/operator"
	"github.com/millrace/millrace/internal/cli"
)

// The statuses that millrace exits with.
const (
	exitFailed = 1
	exitUsage  = 2
)

// The groups that the help text sorts the commands into.
const (
	groupServe = "serve"
	groupCheck = "check"
	groupTry   = "try"
	groupPods  = "pods"
)

func main() {
	// The first signal asks the command to end; a second one ends the process at once, because stop gives the signals
	// back.
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop)
	os.Exit(run(ctx, os.Args[1:]))
}

// run executes the command line args and gives the exit status. Every error is printed exactly once, here.
func run(ctx context.Context, args []string) int {
	root := newRoot()
	root.SetArgs(args)
	// Cobra runs the pre-run hook only when flags and arguments were right, so it tells a wrong call from a failed
	// command.
	started := false
	var verbosity int8
	root.PersistentFlags().Int8VarP(&verbosity, "verbosity", "v", 0,
		"how much is logged to stderr: 0 what an operator must see, 1 state changes, 2 and more for debugging")
	root.PersistentPreRun = func(cmd *cobra.Command, _ []string) {
		started = true
		cmd.SetContext(logr.NewContext(cmd.Context(), newLogger(verbosity)))
	}
	cmd, err := root.ExecuteContextC(ctx)
	var usage *cli.UsageError
	switch {
	case err == nil:
		return 0
	case !started, errors.As(err, &usage):
		fmt.Fprintf(os.Stderr, "Error: %v\nSee '%s --help'.\n", err, cmd.CommandPath())
		return exitUsage
	case !errors.Is(err, cli.ErrReported):
		fmt.Fprintf(os.Stderr, "Error: %v\n", err)
	}
	return exitFailed
}

// newRoot assembles the commands.
func newRoot() *cobra.Command {
	root := &cobra.Command{
		Use:   "millrace",
		Short: "Low-latency live streaming from YAML manifests",
		Long: "Millrace turns YAML manifests into a low-latency live-streaming service: RTMP in, WebRTC (RTS) out.\n\n" +
			"Exit status: 0 done, 1 failed, 2 called wrongly.",
		Version:       version(),
		SilenceErrors: true,
		SilenceUsage:  true,
	}
	root.SetVersionTemplate("millrace {{.Version}}\n")
	root.AddGroup(
		&cobra.Group{ID: groupServe, Title: "Serve:"},
		&cobra.Group{ID: groupCheck, Title: "Check and sign:"},
		&cobra.Group{ID: groupTry, Title: "Try and measure:"},
		&cobra.Group{ID: groupPods, Title: "Run in pods, started by the operator:"},
	)
	add := func(group string, commands ...*cobra.Command) {
		for _, command := range commands {
			command.GroupID = group
			root.AddCommand(command)
		}
	}
	add(groupServe, cli.NewStandaloneCommand(), operator.NewCommand())
	add(groupPods, cli.NewPodCommands()...)
	add(groupCheck, cli.NewValidateCommand(), cli.NewURLCommand())
	add(groupTry, cli.NewPlayCommand(), cli.NewTestSourceCommand())
	root.AddCommand(newVersionCommand())
	return root
}

// newLogger logs to stderr as text, one line per event, up to the given verbosity.
func newLogger(verbosity int8) logr.Logger {
	config := zap.NewProductionConfig()
	config.Encoding = "console"
	config.Level = zap.NewAtomicLevelAt(zapcore.Level(-verbosity))
	config.EncoderConfig = zap.NewDevelopmentEncoderConfig()
	config.EncoderConfig.EncodeTime = zapcore.TimeEncoderOfLayout("15:04:05.000")
	config.DisableCaller = true
	config.DisableStacktrace = true
	config.Sampling = nil
	logger, err := config.Build()
	if err != nil {
		// Only a wrong configuration of zap leads here, and it is constant: run without a log rather than not at all.
		return logr.Discard()
	}
	return zapr.NewLogger(logger)
}
