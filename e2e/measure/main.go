// Command measure measures what a viewer in a real browser gets: how soon the first picture comes, and how old the
// pictures are. It starts the server in its own process, publishes the test picture with ffmpeg, and plays it in
// headless Chromium, all on loopback.
//
//	go run ./e2e/measure join      # many joins in the middle of a long GOP
//	go run ./e2e/measure latency   # the age of every picture of one viewer
//	go run ./e2e/measure standard  # the same of RTS, FLV and low-latency HLS, and joins of FLV
//	go run ./e2e/measure transcode # what renditions add to the latency
//	go run ./e2e/measure skew      # how far sound and picture of a rendition are apart
//	go run ./e2e/measure soak      # whether they drift, or latency grows, within an hour
//
// The method is written down in docs/latency.md.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"runtime"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"github.com/millrace/millrace/e2e/browser"
	"github.com/millrace/millrace/e2e/stack"
	"github.com/millrace/millrace/internal/testsrc"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	root := &cobra.Command{
		Use: "measure", Short: "Measure joins and latency in a real browser", SilenceUsage: true, SilenceErrors: true,
	}
	root.AddCommand(
		newJoinCommand(),
		newLatencyCommand(),
		newStandardCommand(),
		newTranscodeCommand(),
		newSkewCommand(),
		newSoakCommand(),
	)
	err := root.ExecuteContext(ctx)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "measure:", err)
		os.Exit(1)
	}
}

// source are the flags that describe the published picture and what becomes of the figures.
type source struct {
	width, height, fps, kbps int
	gop                      float64
	audio                    bool
	ahead                    bool // encoded before it is published, not meanwhile
	jsonFile                 string
	check                    bool
}

func (s *source) addTo(cmd *cobra.Command, gop float64) {
	f := cmd.Flags()
	f.IntVar(&s.width, "width", 1280, "width of the picture in pixels")
	f.IntVar(&s.height, "height", 720, "height of the picture in pixels")
	f.IntVar(&s.fps, "fps", 30, "frames per second of the source")
	f.IntVar(&s.kbps, "kbps", 2000, "bit rate of the source in kbit/s")
	f.Float64Var(&s.gop, "gop", gop, "distance of key frames in seconds")
	f.BoolVar(&s.audio, "audio", false, "publish a tone too")
	f.StringVar(
		&s.jsonFile,
		"json",
		"",
		"write all figures to this file as JSON; - writes them to standard output instead of the table",
	)
	f.BoolVar(&s.check, "check", false, "exit with 1 when a goal is missed")
}

// options are those of the publisher.
func (s *source) options() testsrc.Options {
	return testsrc.Options{
		Width: s.width, Height: s.height, FPS: s.fps, BitrateKbps: s.kbps, GOPSeconds: s.gop, Audio: s.audio,
		EncodedAhead: s.ahead,
	}
}

// loopMs is the length of the source in ms where it is encoded ahead, else 0.
func (s *source) loopMs() (int64, error) {
	if !s.ahead {
		return 0, nil
	}
	length, err := s.options().LoopLength()
	if err != nil {
		return 0, fmt.Errorf("encoding ahead: %w", err)
	}
	return length.Milliseconds(), nil
}

// machine says where the figures come from.
type machine struct {
	Time     time.Time `json:"time"`
	CPUs     int       `json:"cpus"`
	System   string    `json:"system"`
	Chromium string    `json:"chromium"`
}

// report is what a subcommand ends with.
type report struct {
	Machine machine `json:"machine"`
	Source  string  `json:"source"`
	Rows    []row   `json:"rows"`
	Raw     any     `json:"raw"`
}

// stream is what the source is published as.
const stream = "measure"

// play runs one step of joins on the source and decodes its result.
func play(ctx context.Context, s source, step browser.Step, limit time.Duration) (browser.JoinResult, report, error) {
	var result browser.JoinResult
	raw, rep, err := run(ctx, s, limit, func(server *stack.Stack) []browser.Step {
		step.Kind, step.URL = browser.Join, server.Page("http", stack.Open, stream)
		return []browser.Step{step}
	})
	if err != nil {
		return result, rep, err
	}
	if err := json.Unmarshal(raw[0], &result); err != nil {
		return result, rep, fmt.Errorf("reading the browser's figures: %w", err)
	}
	rep.Raw = result.Joins
	return result, rep, nil
}

// run publishes the source and runs browser steps on it, one after the other.
func run(
	ctx context.Context,
	s source,
	limit time.Duration,
	steps func(*stack.Stack) []browser.Step,
) ([]json.RawMessage, report, error) {
	how := "x264 zerolatency"
	if s.ahead {
		how += ", encoded ahead of the measurement and published in a loop by ffmpeg"
	}
	rep := report{
		Machine: machine{Time: time.Now().UTC(), CPUs: runtime.NumCPU(), System: runtime.GOOS + "/" + runtime.GOARCH},
		Source:  fmt.Sprintf("%dx%d, %d fps, %d kbit/s, GOP %.3g s, %s", s.width, s.height, s.fps, s.kbps, s.gop, how),
	}
	if err := browser.Ready(); err != nil {
		return nil, rep, err
	}
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	server, err := stack.Start(ctx, stack.Options{})
	if err != nil {
		return nil, rep, err
	}
	defer server.Stop() //nolint:errcheck // the figures are there
	_, err = server.Publish(ctx, stack.Open, stream, s.options())
	if err != nil {
		return nil, rep, err
	}
	scenario := browser.Scenario{
		HTTPPort:       server.HTTP,
		HTTPSPort:      server.HTTPS,
		TimeoutSeconds: limit.Seconds(),
		Steps:          steps(server),
	}
	raw, err := browser.Drive(ctx, scenario, func(e browser.Event) {
		switch e.Event {
		case "ready":
			rep.Machine.Chromium = e.Browser
		case "join":
			fmt.Fprint(os.Stderr, ".")
		}
	})
	fmt.Fprintln(os.Stderr)
	return raw, rep, err
}

var errMissed = errors.New("a goal was missed; the table says which")

// finish writes the report where the flags want it.
func (s *source) finish(rep report, w io.Writer) error {
	if s.jsonFile != "" {
		body, err := json.MarshalIndent(rep, "", "  ")
		if err != nil {
			return fmt.Errorf("encoding the figures: %w", err)
		}
		if s.jsonFile == "-" {
			_, err = fmt.Fprintln(w, string(body))
			return errors.Join(err, s.missed(rep))
		}
		if err := os.WriteFile(s.jsonFile, append(body, '\n'), 0o644); err != nil {
			return fmt.Errorf("writing the figures: %w", err)
		}
	}
	fmt.Fprintf(w, "Source: %s\nBrowser: Chromium %s; %d CPUs shared by publisher, encoder, server and browser\n\n",
		rep.Source, rep.Machine.Chromium, rep.Machine.CPUs)
	table(w, rep.Rows)
	return s.missed(rep)
}

func (s *source) missed(rep report) error {
	for _, r := range rep.Rows {
		if s.check && r.Missed {
			return errMissed
		}
	}
	return nil
}
