package e2e

import (
	"context"
	"fmt"
	"math"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/go-logr/logr/testr"

	"github.com/millrace/millrace/dataplane/standalone"
	"github.com/millrace/millrace/dataplane/transcode"
	"github.com/millrace/millrace/e2e/beep"
	"github.com/millrace/millrace/e2e/browser"
	"github.com/millrace/millrace/e2e/stack"
	"github.com/millrace/millrace/e2e/viewer"
	"github.com/millrace/millrace/internal/play/join"
)

// transcoding starts a server with templates. Changes may be nil.
func transcoding(t *testing.T, change func(*standalone.Options)) (context.Context, *stack.Stack) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), limit)
	t.Cleanup(cancel)
	opt := stack.Options{Manifests: stack.Templates, Change: change}
	if testing.Verbose() {
		opt.Log = testr.New(t)
	}
	s, err := stack.Start(ctx, opt)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Stop(); err != nil {
			t.Errorf("stopping the server: %v", err)
		}
	})
	return ctx, s
}

// beeping publishes a source with flashes and beeps until the test ends.
func beeping(ctx context.Context, t *testing.T, s *stack.Stack, name string, o beep.Options) {
	t.Helper()
	o.URL = s.PushURL(stack.Open, name)
	source, err := beep.Publish(ctx, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(source.Kill)
	if err := s.Await(ctx, stack.Open, name, source.Done()); err != nil {
		t.Fatalf("%v; %v", err, source.Err())
	}
}

func target(t *testing.T, s *stack.Stack, name string) *join.Target {
	t.Helper()
	target, err := join.Parse(s.ARTC(stack.Open, name), join.Options{Connect: fmt.Sprintf("127.0.0.1:%d", s.HTTP)})
	if err != nil {
		t.Fatal(err)
	}
	return target
}

// watching is what a stock pion client sees of a rendition.
type watching struct {
	mu       sync.Mutex
	times    []int64 // of pictures, in the order in which they came
	keys     []int64
	b, sound int
	seen     viewer.Watched
	err      error
}

func (w *watching) frame(f viewer.Frame) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if !f.Video {
		w.sound++
		return
	}
	w.times = append(w.times, f.Time)
	if f.Key {
		w.keys = append(w.keys, f.Time)
	}
	if f.B {
		w.b++
	}
}

// check tells what a browser would stumble over. Pictures in the order of decoding are in the order of showing exactly
// when there are no B-frames that others wait for; that there is none at all is read in the slice headers.
func (w *watching) check(t *testing.T, name string, gop time.Duration) {
	t.Helper()
	if w.err != nil {
		t.Errorf("%s: %v", name, w.err)
		return
	}
	if len(w.times) < 40 || w.sound < 100 || len(w.keys) < 2 {
		t.Errorf("%s: %d pictures, %d of them keys, %d frames of sound", name, len(w.times), len(w.keys), w.sound)
	}
	if w.b > 0 || !slices.IsSorted(w.times) {
		t.Errorf("%s: %d pictures are B-frames; sorted %t", name, w.b, slices.IsSorted(w.times))
	}
	var longest time.Duration
	for i := 1; i < len(w.keys); i++ {
		longest = max(longest, time.Duration(w.keys[i]-w.keys[i-1])*time.Second/viewer.VideoClock)
	}
	if longest > gop+50*time.Millisecond {
		t.Errorf("%s: key frames are %s apart, the template says %s", name, longest, gop)
	}
	// On average, for a viewer that was late is begun anew at a key frame.
	if n := len(w.keys) - 1; n > 0 {
		if mean := time.Duration((w.keys[n]-w.keys[0])/int64(n)) * time.Second / viewer.VideoClock; mean < gop/2 {
			t.Errorf("%s: key frames are %s apart, the template says %s", name, mean, gop)
		}
	}
	skews := viewer.Values(w.seen.Skews)
	if len(skews) < 3 {
		t.Errorf("%s: %d flashes with a beep", name, len(skews))
		return
	}
	if m := viewer.Median(skews); math.Abs(m) > 60 {
		t.Errorf("%s: sound is %.0f ms later than its picture", name, m)
	}
	t.Logf(
		"%s: %d pictures, none of type B, key frames at most %s apart; sound %.1f ms after the picture (median of %d)",
		name,
		len(w.times),
		longest,
		viewer.Median(skews),
		len(skews),
	)
}

// What browsers cannot play plays in Chromium by the official SDK, with sound, from a rendition: H.264 with B-frames,
// AAC at 44.1 kHz and a long GOP; and H.265 by enhanced RTMP.
func TestRenditionsPlayInChromium(t *testing.T) {
	needBrowser(t)
	ctx, s := transcoding(t, nil)
	beeping(ctx, t, s, "h264", beep.Options{BFrames: 3, GOPSeconds: 8, FPS: 15, Width: 320, Height: 180, Kbps: 300})
	beeping(
		ctx,
		t,
		s,
		"h265",
		beep.Options{BFrames: 2, GOPSeconds: 4, H265: true, FPS: 15, Width: 320, Height: 180, Kbps: 300},
	)
	names := []string{"h264_rts-hd", "h265_rts-hd"}
	seen := make([]*watching, len(names))
	var steps []browser.Step
	var watches sync.WaitGroup
	for i, name := range names {
		steps = append(steps, browser.Step{
			Kind: browser.SDK, Version: "2.2.7", PageScheme: "https", URL: s.ARTC(stack.Open, name), WatchSeconds: 5,
			LimitSeconds: 60, Senses: true, Calibrate: i == 0,
		})
		seen[i] = &watching{}
		to := target(t, s, name)
		watches.Go(func() { seen[i].seen, seen[i].err = viewer.Observe(ctx, to, 9*time.Second, seen[i].frame) })
	}
	results := drive[browser.SDKResult](ctx, t, s, true, steps, nil)
	watches.Wait()
	for i, r := range results {
		seen[i].check(t, names[i], 2*time.Second)
		if !r.Playing || r.Error != nil || r.Senses == nil {
			t.Errorf("%s does not play in Chromium: %+v", names[i], r)
			continue
		}
		c := r.Senses
		if c.AudioEnergy <= 0 || c.AudioCodec != "audio/opus" || c.FramesDecoded < 20 || c.KeyFrames < 2 {
			t.Errorf("%s in Chromium: %+v", names[i], *c)
		}
		// How far they are apart in a browser on a busy machine says nothing; e2e/measure skew tells it.
		skews := viewer.Pairs(c.FlashesMs, c.BeepsMs)
		if len(c.FlashesMs) == 0 || len(c.BeepsMs) < 2 {
			t.Errorf("%s in Chromium: %d flashes, %d beeps; %s", names[i], len(c.FlashesMs), len(c.BeepsMs), c.Problem)
		}
		if own, ok := c.Own(); i == 0 {
			if !ok || *c.EyesMs <= 0 || *c.EarsMs <= 0 {
				t.Errorf("the page's own eyes and ears: %+v", *c)
			}
			t.Logf("the page hears sound %.0f ms later than it sees pictures", own)
		}
		t.Logf(
			"%s in Chromium: audio energy %.4f, %d pictures, %d keys, sound %.0f ms after the picture (median of %d), %.0f "+
				"ms by playout times",
			names[i],
			c.AudioEnergy,
			c.FramesDecoded,
			c.KeyFrames,
			viewer.Median(skews),
			len(skews),
			viewer.Median(c.ApartMs),
		)
	}
	renditions, err := s.Renditions(ctx)
	if err != nil {
		t.Fatal(err)
	}
	for _, one := range renditions {
		if one.Video != transcode.Encode || one.Audio != transcode.Encode || one.Starts != 1 {
			t.Errorf("rendition %+v", one)
		}
	}
}
