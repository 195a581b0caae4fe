package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"slices"
	"syscall"
	"time"

	"github.com/pion/dtls/v3"
	"github.com/spf13/cobra"

	"github.com/millrace/millrace/e2e/beep"
	"github.com/millrace/millrace/e2e/stack"
	"github.com/millrace/millrace/internal/play/join"
	"github.com/millrace/millrace/internal/play/lean"
)

type transcodeOptions struct {
	source        beep.Options
	crowd         int
	watching      int
	streams, full int
	seconds       int
	idle          time.Duration
}

func newTranscodeCommand() *cobra.Command {
	var o transcodeOptions
	cmd := &cobra.Command{
		Use: "transcode", Short: "A crowd before a cold rendition, ffmpeg killed under viewers, the end of an idle one, " +
			"and what renditions cost", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return runTranscode(cmd.Context(), o, cmd.OutOrStdout()) },
	}
	f := cmd.Flags()
	f.IntVar(&o.source.Width, "width", 1280, "width of the source")
	f.IntVar(&o.source.Height, "height", 720, "height of the source")
	f.IntVar(&o.source.FPS, "fps", 30, "frames per second of the source")
	f.IntVar(&o.source.Kbps, "kbps", 3000, "bit rate of the source in kbit/s")
	f.IntVar(&o.crowd, "crowd", 50, "viewers that ask for a cold rendition in the same second; 0 leaves this part out")
	f.IntVar(&o.watching, "watching", 20, "viewers under which ffmpeg is killed; 0 leaves this part out")
	f.DurationVar(
		&o.idle,
		"idle",
		40*time.Second,
		"how long after the last viewer nothing may run any more; 0 leaves this part out",
	)
	f.IntVar(&o.streams, "streams", 20, "streams whose picture is passed through; 0 leaves this part out")
	f.IntVar(
		&o.full,
		"full",
		3,
		"of them, how many are encoded as well, all that the machine can do at live speed; the rest is reckoned",
	)
	f.IntVar(&o.seconds, "seconds", 15, "how long the cost is measured")
	return cmd
}

func runTranscode(ctx context.Context, o transcodeOptions, w io.Writer) error {
	fmt.Fprintf(
		w,
		"%s\nsource %dx%d, %d fps, %d kbit/s, AAC; publisher, server and viewers share the machine\n\n",
		machine(),
		o.source.Width,
		o.source.Height,
		o.source.FPS,
		o.source.Kbps,
	)
	if o.crowd > 0 || o.watching > 0 {
		if err := crowdAndKill(ctx, o, w); err != nil {
			return err
		}
	}
	if o.streams > 0 {
		return transcodeCost(ctx, o, w)
	}
	return nil
}

// audienceOf makes an audience of any stream.
func audienceOf(ctx context.Context, s *stack.Stack, name string) (*audience, error) {
	target, err := join.Parse(s.ARTC(stack.Open, name), join.Options{Connect: fmt.Sprintf("127.0.0.1:%d", s.HTTP)})
	if err != nil {
		return nil, err
	}
	engine, err := lean.NewEngine(lean.Options{
		Decrypt: lean.DecryptSample, ReadBuffer: 4 << 20, Profiles: []dtls.SRTPProtectionProfile{dtls.SRTP_AEAD_AES_128_GCM},
	})
	if err != nil {
		return nil, fmt.Errorf("starting the viewers: %w", err)
	}
	a := &audience{engine: engine, target: target}
	a.ctx, a.stop = context.WithCancel(ctx)
	return a, nil
}

// crowdAndKill needs a source that is encoded anew: it has B-frames and key frames every 8 s.
func crowdAndKill(ctx context.Context, o transcodeOptions, w io.Writer) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	s, err := stack.Start(ctx, stack.Options{Manifests: stack.Templates})
	if err != nil {
		return err
	}
	defer s.Stop() //nolint:errcheck // the figures are there
	source := o.source
	source.URL, source.BFrames, source.GOPSeconds = s.PushURL(stack.Open, "cam"), 3, 8
	published, err := beep.Publish(ctx, source)
	if err != nil {
		return err
	}
	if err := s.Await(ctx, stack.Open, "cam", published.Done()); err != nil {
		return err
	}
	settle(ctx, 10*time.Second) // a whole GOP is there

	crowd, err := audienceOf(ctx, s, "cam_rts-hd")
	if err != nil {
		return err
	}
	defer crowd.leave()
	n := max(o.crowd, o.watching)
	crowd.join(n, time.Second)
	if err := crowd.playing(ctx, n, 30*time.Second); err != nil {
		return err
	}
	var joins []float64
	for _, v := range crowd.look() {
		joins = append(joins, v.FirstFrameMs)
	}
	slices.Sort(joins)
	at := func(q float64) float64 { return joins[int(q*float64(len(joins)-1))] }
	made, err := s.Renditions(ctx)
	if err != nil {
		return err
	}
	if len(made) != 1 {
		return fmt.Errorf("%d renditions are made, want 1", len(made))
	}
	fmt.Fprintf(
		w,
		"%d viewers ask for a cold rendition within a second: %d ffmpeg, started %d times; request to first decodable "+
			"picture p50 %.0f ms, p95 %.0f ms, longest %.0f ms\n",
		n,
		len(made),
		made[0].Starts,
		at(0.5),
		at(0.95),
		at(1),
	)

	if o.watching > 0 {
		crowd.leave()
		if crowd, err = audienceOf(ctx, s, "cam_rts-hd"); err != nil {
			return err
		}
		defer crowd.leave()
		if err := kill(ctx, s, crowd, o.watching, made[0].PID, w); err != nil {
			return err
		}
	}
	if o.idle <= 0 {
		return nil
	}
	if made, err = s.Renditions(ctx); err != nil || len(made) != 1 {
		return fmt.Errorf("%d renditions are made, want 1 (%w)", len(made), err)
	}
	pid := made[0].PID
	crowd.leave()
	left := time.Now()
	for time.Since(left) < o.idle && lives(pid) {
		settle(ctx, 100*time.Millisecond)
	}
	if lives(pid) {
		return fmt.Errorf("ffmpeg %d still runs %s after the last viewer", pid, o.idle)
	}
	fmt.Fprintf(w, "the last viewer has left: no ffmpeg runs after %.1f s\n", time.Since(left).Seconds())
	return nil
}

func kill(ctx context.Context, s *stack.Stack, a *audience, n, pid int, w io.Writer) error {
	a.join(n, time.Second)
	if err := a.playing(ctx, n, 30*time.Second); err != nil {
		return err
	}
	settle(ctx, 4*time.Second)
	before := a.look()
	if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
		return fmt.Errorf("killing ffmpeg %d: %w", pid, err)
	}
	settle(ctx, 6*time.Second)
	var longest, old float64
	ended, without := 0, 0
	for i, v := range a.look() {
		longest = max(longest, v.LongestGapMs)
		old = max(old, before[i].LongestGapMs)
		if v.Ended != "" || v.Error != "" {
			ended++
		}
		if v.DecodableFrames < before[i].DecodableFrames+20 {
			without++
		}
	}
	made, err := s.Renditions(ctx)
	if err != nil {
		return err
	}
	if len(made) != 1 || made[0].PID == pid {
		return fmt.Errorf("there is no new ffmpeg: %+v", made)
	}
	fmt.Fprintf(
		w,
		"kill -9 of ffmpeg under %d viewers: %d disconnected, %d without new pictures; longest time between two decodable "+
			"pictures %.0f ms (before the kill %.0f ms)\n",
		n,
		ended,
		without,
		longest,
		old,
	)
	return nil
}

func lives(pid int) bool {
	_, err := os.Stat(fmt.Sprintf("/proc/%d", pid))
	return err == nil
}
