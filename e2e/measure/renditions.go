package main

import (
	"context"
	"fmt"
	"runtime"
	"time"

	"github.com/spf13/cobra"

	"github.com/millrace/millrace/e2e/beep"
	"github.com/millrace/millrace/e2e/stack"
	"github.com/millrace/millrace/e2e/viewer"
	"github.com/millrace/millrace/internal/play/join"
)

// beeping are the flags of the source whose renditions are measured.
type beeping struct {
	out    source // of it only what becomes of the figures
	o      beep.Options
	length time.Duration
}

func (b *beeping) addTo(cmd *cobra.Command, o beep.Options, length time.Duration) {
	f := cmd.Flags()
	f.IntVar(&b.o.Width, "width", o.Width, "width of the picture in pixels")
	f.IntVar(&b.o.Height, "height", o.Height, "height of the picture in pixels")
	f.IntVar(&b.o.FPS, "fps", o.FPS, "frames per second of the source")
	f.IntVar(&b.o.Kbps, "kbps", o.Kbps, "bit rate of the picture in kbit/s")
	f.Float64Var(&b.o.GOPSeconds, "gop", o.GOPSeconds, "distance of key frames in seconds")
	f.IntVar(&b.o.BFrames, "b-frames", o.BFrames, "B-frames between references")
	f.BoolVar(&b.o.H265, "h265", o.H265, "publish H.265, by enhanced RTMP")
	f.IntVar(&b.o.SampleRate, "sample-rate", 44100, "of the sound, AAC-LC in stereo")
	f.DurationVar(&b.length, "for", length, "how long")
	f.StringVar(
		&b.out.jsonFile,
		"json",
		"",
		"write all figures to this file as JSON; - writes them to standard output instead of the table",
	)
	f.BoolVar(&b.out.check, "check", false, "exit with 1 when a goal is missed")
}

// report begins one.
func (b *beeping) report() report {
	codec := "H.264"
	if b.o.H265 {
		codec = "H.265"
	}
	return report{
		Machine: machine{
			Time:     time.Now().UTC(),
			CPUs:     runtime.NumCPU(),
			System:   runtime.GOOS + "/" + runtime.GOARCH,
			Chromium: "none",
		},
		Source: fmt.Sprintf(
			"%s %dx%d, %d fps, %d kbit/s, GOP %.3g s, %d B-frames; AAC %d Hz; a flash and a beep every second",
			codec,
			b.o.Width,
			b.o.Height,
			b.o.FPS,
			b.o.Kbps,
			b.o.GOPSeconds,
			b.o.BFrames,
			b.o.SampleRate,
		),
	}
}

// serve starts a server with templates and publishes the source.
func (b *beeping) serve(ctx context.Context) (*stack.Stack, error) {
	s, err := stack.Start(ctx, stack.Options{Manifests: stack.Templates})
	if err != nil {
		return nil, err
	}
	o := b.o
	o.URL = s.PushURL(stack.Open, "measure")
	published, err := beep.Publish(ctx, o)
	if err == nil {
		err = s.Await(ctx, stack.Open, "measure", published.Done())
	}
	if err != nil {
		_ = s.Stop() // the other error tells more
		return nil, err
	}
	return s, nil
}

// observe watches a stream by pion and ffmpeg.
func observe(ctx context.Context, s *stack.Stack, name string, d time.Duration) (viewer.Watched, error) {
	target, err := join.Parse(s.ARTC(stack.Open, name), join.Options{Connect: fmt.Sprintf("127.0.0.1:%d", s.HTTP)})
	if err != nil {
		return viewer.Watched{}, err
	}
	w, err := viewer.Observe(ctx, target, d, nil)
	if err != nil {
		return w, fmt.Errorf("watching %s: %w", name, err)
	}
	return w, nil
}
