package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/spf13/cobra"

	"github.com/millrace/millrace/internal/play"
	"github.com/millrace/millrace/internal/play/flv"
	"github.com/millrace/millrace/internal/play/join"
	"github.com/millrace/millrace/internal/play/lean"
)

// defaultRamp is the time between two joins when none is asked for.
const defaultRamp = 20 * time.Millisecond

// NewPlayCommand makes "millrace play": a viewer without a screen, or many of them.
func NewPlayCommand() *cobra.Command {
	o := play.Options{}
	var dialect, decrypt string
	var asJSON bool
	var rate float64
	var slow, slowKbps int
	cmd := &cobra.Command{
		Use:   "play URL",
		Short: "Watch a stream without a screen and report what arrives",
		Long: `Watch a stream without a screen, and report how long the join took, what was lost, where it stalled and how
late it is.

URL is artc://host[:port]/app/stream (JSON signalling on the same path) or http(s)://host[:port]/app/stream (WHEP). An
artc URL goes to https, unless its port, or that of --connect, does not end in 443 or is above 32767. Names below
localhost are this machine.

http(s):// and ws(s):// URLs whose path ends in .flv are played as HTTP-FLV and WebSocket-FLV. Every tag is looked at:
its framing, its time stamp, and whether each viewer got all the tags that any other got in the same time.
--slow-readers adds readers that take --slow-kbps and no more, so that the server's treatment of them shows; they count
apart. The flags about media by UDP say nothing there.

With more than 10 viewers, or --lean, a client is used that costs about a microsecond per packet: it decrypts 1 packet
of 16, and all of them until the first picture and while one is missing (--decrypt). Sequence numbers, frame boundaries
and capture times are not encrypted, so loss, stalls and latency are exact all the same.

Exit status: 0 when every viewer had a picture, 1 when one had none, 2 when the command was called wrongly.`,
		Example: `  # look into a server
  millrace play artc://rts.example.com/live/demo --duration 10s

  # against a server on this machine, under the name it has for viewers
  millrace play artc://rts.example.com/live/demo --connect 127.0.0.1:8080

  # load: 200 viewers, joining within 4 seconds
  millrace play http://localhost:8080/live/demo --viewers 200 --ramp 4s --duration 60s --json

  # 500 viewers of HTTP-FLV beside 100 that read 10 kbit/s
  millrace play http://localhost:8080/live/demo.flv --viewers 500 --slow-readers 100 --duration 60s`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			o.URL, o.Join.Dialect, o.Decrypt = args[0], join.Dialect(dialect), lean.Decrypt(decrypt)
			switch {
			case rate < 0:
				return &UsageError{fmt.Errorf("--joins %g: want joins per second", rate)}
			case rate > 0 && cmd.Flags().Changed("ramp"):
				return &UsageError{errors.New("either --ramp or --joins, not both")}
			case rate > 0:
				o.Ramp = time.Duration(float64(o.Viewers) / rate * float64(time.Second))
			case !cmd.Flags().Changed("ramp"):
				o.Ramp = time.Duration(o.Viewers-1) * defaultRamp
			}
			if flv.Is(o.URL) && o.Join.Dialect == join.Auto {
				return runPlay(
					cmd.Context(),
					&play.FLVOptions{URL: o.URL, Join: o.Join, Viewers: o.Viewers, Slow: slow, SlowKbps: slowKbps,
						Ramp: o.Ramp, Duration: o.Duration, Wait: o.Wait},
					asJSON,
					cmd.OutOrStdout(),
					cmd.ErrOrStderr(),
				)
			}
			if slow > 0 {
				return &UsageError{errors.New("--slow-readers is for URLs that end in .flv")}
			}
			return runPlay(cmd.Context(), &o, asJSON, cmd.OutOrStdout(), cmd.ErrOrStderr())
		},
	}
	flags := cmd.Flags()
	flags.StringVar(&dialect, "dialect", string(join.Auto), "signalling: artc, whep, or auto to tell by the URL")
	flags.BoolVar(&o.Join.TLS, "tls", false, "artc over https, whatever the port")
	flags.BoolVar(&o.Join.Plain, "plain", false, "artc over http, whatever the port")
	flags.BoolVar(&o.Join.Insecure, "insecure", false, "accept any certificate")
	flags.StringVar(
		&o.Join.Connect,
		"connect",
		"",
		"host:port that signalling connects to; Host and SNI stay those of the URL",
	)
	flags.IntVar(&o.Viewers, "viewers", 1, "number of viewers")
	flags.DurationVar(&o.Ramp, "ramp", 0, "time over which the joins are spread (default 20ms per viewer)")
	flags.Float64Var(&rate, "joins", 0, "joins per second, instead of --ramp")
	flags.DurationVar(
		&o.Duration,
		"duration",
		0,
		"how long to watch after the last join; 0 watches until interrupted or ended",
	)
	flags.DurationVar(
		&o.Wait,
		"wait",
		0,
		"ask again while the stream is not there (404, 409), for this long; without a value, a day",
	)
	flags.Lookup("wait").NoOptDefVal = "24h"
	flags.BoolVar(&o.TCP, "tcp", false, "media over TCP (ICE-TCP) only")
	flags.StringVar(
		&o.SRTP,
		"srtp",
		"",
		"offer only this SRTP profile: gcm (AES-128-GCM) or sha1 (AES-128-CM with HMAC-SHA1-80)",
	)
	flags.BoolVar(&o.Lean, "lean", false, "use the lean client also for few viewers")
	flags.StringVar(&decrypt, "decrypt", string(lean.DecryptSample), "what the lean client decrypts: sample, all or none")
	flags.BoolVar(
		&o.GRO,
		"gro",
		false,
		"lean client: let the kernel join datagrams; on one machine this makes the server cheaper, too",
	)
	flags.IntVar(
		&o.ReadBuffer,
		"read-buffer",
		4<<20,
		"bytes of receive buffer per UDP socket; root may exceed net.core.rmem_max",
	)
	flags.IntVar(&slow, "slow-readers", 0, "FLV only: readers beside the viewers that read slowly")
	flags.IntVar(&slowKbps, "slow-kbps", 10, "FLV only: kbit/s that each slow reader reads")
	flags.BoolVar(&asJSON, "json", false, "print the report as JSON (docs/play.md)")
	return cmd
}

// player is a way to play.
type player interface {
	// Play plays and tells progress.
	Play(ctx context.Context, progress func(play.Progress)) (play.Outcome, error)
}

// runPlay plays, shows progress on a terminal, and prints the report.
func runPlay(ctx context.Context, p player, asJSON bool, out, progress io.Writer) error {
	showing := isTerminal(progress)
	var tell func(play.Progress)
	if showing {
		tell = func(p play.Progress) { fmt.Fprintf(progress, "\r%s\x1b[K", line(p)) }
	}
	report, err := p.Play(ctx, tell)
	if showing {
		fmt.Fprint(progress, "\r\x1b[K")
	}
	if err != nil {
		return &UsageError{err}
	}
	if asJSON {
		encoder := json.NewEncoder(out)
		encoder.SetIndent("", "  ")
		if err := encoder.Encode(report); err != nil {
			return fmt.Errorf("writing the report: %w", err)
		}
	} else {
		report.Text(out)
	}
	return report.Failure()
}

// line is the progress of a play.
func line(p play.Progress) string {
	text := fmt.Sprintf("%3.0fs  %d/%d playing  %.1f fps  %.1f Mbit/s  lost %d  stalls %d",
		p.Elapsed.Seconds(), p.Playing, p.Viewers, p.FPS, p.Mbps, p.Lost, p.Stalls)
	if p.LatencyP50 > 0 {
		text += fmt.Sprintf("  latency %.1f ms", p.LatencyP50)
	}
	if p.Ended > 0 {
		text += fmt.Sprintf("  ended %d", p.Ended)
	}
	return text
}

func isTerminal(w io.Writer) bool {
	file, ok := w.(*os.File)
	if !ok {
		return false
	}
	info, err := file.Stat()
	return err == nil && info.Mode()&os.ModeCharDevice != 0
}
