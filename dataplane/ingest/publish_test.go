package ingest

import (
	"context"
	"errors"
	"math"
	"testing"
	"time"

	"github.com/millrace/millrace/dataplane/hub"
	"github.com/millrace/millrace/dataplane/media"
	"github.com/millrace/millrace/internal/contract/check"
	"github.com/millrace/millrace/internal/testkit"
	"github.com/millrace/millrace/internal/testsrc"
)

func TestFFmpegPublishesH264AndAAC(t *testing.T) {
	r := newRig(t, nil)
	before := time.Now()
	r.publish(testsrc.Options{URL: r.url("/live/cam-1"), Audio: true})
	s := r.stream("live", "cam-1", media.Video, media.Audio)

	if v := s.Track(media.Video); v.Codec != media.H264 || v.Width != 320 || v.Height != 180 || len(v.SPS) == 0 ||
		len(v.PPS) == 0 {
		t.Errorf("video track %+v", v)
	}
	if a := s.Track(media.Audio); a.Codec != media.AAC || a.SampleRate != 48000 || a.Channels != 2 || len(a.Config) < 2 {
		t.Errorf("audio track %+v", a)
	}
	if p := s.Publisher(); p.Domain != pushHost || p.Remote == "" {
		t.Errorf("publisher %+v", p)
	}
	reader := s.NewReader()
	defer reader.Close()
	first := next(t, reader, anyVideo)
	if !first.Key || first.Units[0][0]&0x1F != 7 || first.Units[1][0]&0x1F != 8 {
		t.Errorf("the first frame is no key frame with parameter sets: %s", describe(first))
	}
	if first.Ingest.Before(before) || first.Ingest.After(time.Now()) {
		t.Errorf("ingest time %v lies outside of the test", first.Ingest)
	}
	last := map[media.Kind]time.Duration{}
	seen := map[media.Kind]int{}
	for seen[media.Video] < 60 || seen[media.Audio] < 60 {
		f := next(t, reader, func(*media.Frame) bool { return true })
		if f.DTS < last[f.Kind()] {
			t.Fatalf("DTS goes back from %s: %s", last[f.Kind()], describe(f))
		}
		if f.Kind() == media.Audio && (f.Key || len(f.Units) != 1) {
			t.Fatalf("audio beside video: %s", describe(f))
		}
		if f.PTS != f.DTS {
			t.Fatalf("without B-frames PTS and DTS are the same: %s", describe(f))
		}
		size := 0
		for _, u := range f.Units {
			size += len(u)
			if f.Kind() == media.Video && (u[0]&0x1F == 9 || u[0]&0x1F == 12) {
				t.Fatalf("an access unit delimiter or filler data was left: %s", describe(f))
			}
		}
		if size != f.Size {
			t.Fatalf("size %d, units have %d", f.Size, size)
		}
		last[f.Kind()] = f.DTS
		seen[f.Kind()]++
	}
	r.wait("facts", func() bool { f := s.Facts(); return f.FPS > 0 && f.GOP > 900*time.Millisecond && f.AudioKbps > 0 })
	f := s.Facts()
	if math.Abs(f.FPS-30) > 3 || f.GOP > 1200*time.Millisecond || f.BFrames || f.VideoKbps < 20 || f.Profile != "High" {
		t.Errorf("facts %+v", f)
	}
}

func TestFFmpegPublishesBFrames(t *testing.T) {
	r := newRig(t, nil)
	r.publish(testsrc.Options{URL: r.url("/live/b"), BFrames: 2})
	s := r.stream("live", "b", media.Video)
	reader := s.NewReader()
	defer reader.Close()
	reordered, disposable := false, false
	var lastPTS, lastDTS time.Duration
	for range 40 {
		f := next(t, reader, anyVideo)
		if f.DTS < lastDTS || f.PTS < f.DTS {
			t.Fatalf("after DTS %s: %s", lastDTS, describe(f))
		}
		reordered = reordered || f.PTS < lastPTS
		disposable = disposable || f.Disposable
		lastDTS, lastPTS = f.DTS, f.PTS
	}
	if !reordered || !disposable {
		t.Errorf("reordered %v, disposable %v: want both", reordered, disposable)
	}
	r.wait("the fact", func() bool { return s.Facts().BFrames })
}

func TestALongGOPShowsBeforeItsEnd(t *testing.T) {
	d := domain()
	d.MaxGOP = 500 * time.Millisecond
	r := newRig(t, domains(d))
	r.publish(testsrc.Options{URL: r.url("/live/long"), GOPSeconds: 60})
	s := r.stream("live", "long", media.Video)
	r.wait("the GOP to grow", func() bool { return s.Facts().GOP > time.Second })
	v := check.Check(s.Facts(), check.Policies{MaxGOP: d.MaxGOP})
	if len(v) != 1 || v[0].Reason != check.GOPTooLong || v[0].Reject {
		t.Errorf("verdicts %+v", v)
	}
}

func TestAudioAloneIsAStreamOfKeyFrames(t *testing.T) {
	r := newRig(t, nil)
	r.publish(testsrc.Options{URL: r.url("/live/radio"), NoVideo: true})
	s := r.stream("live", "radio", media.Audio)
	reader := s.NewReader()
	defer reader.Close()
	for range 20 {
		if f := next(t, reader, func(*media.Frame) bool { return true }); !f.Key || f.Kind() != media.Audio {
			t.Fatalf("frame of a stream without video: %s", describe(f))
		}
	}
}

func TestAStoppedEncoderEndsTheStreamAtOnce(t *testing.T) {
	r := newRig(t, nil)
	p := r.publish(testsrc.Options{URL: r.url("/live/stop")})
	s := r.stream("live", "stop", media.Video)
	reader := s.NewReader()
	defer reader.Close()
	next(t, reader, anyVideo)
	p.Stop(testkit.Patience())
	atEnd(t, reader)
	if r.hub.Lookup(s.Key) != nil {
		t.Error("the stream is still held")
	}
	r.wait("the end to be counted", func() bool { return r.count("millrace_ingest_ended_total", "unpublished") == 1 })
}

func TestAKilledEncoderIsContinuedByItsNextStart(t *testing.T) {
	r := newRig(t, nil)
	p := r.publish(testsrc.Options{URL: r.url("/live/restart")})
	s := r.stream("live", "restart", media.Video)
	reader := s.NewReader()
	defer reader.Close()
	before := next(t, reader, anyVideo)
	p.Kill()
	r.wait("the stream to be held", func() bool { return !s.Live() })
	r.publish(testsrc.Options{URL: r.url("/live/restart")})
	after := next(t, reader, func(f *media.Frame) bool { return f.Epoch > before.Epoch })
	if !after.Key || after.DTS <= before.DTS {
		t.Errorf("the new publisher's first frame: %s; the old one's: %s", describe(after), describe(before))
	}
	for range 30 {
		f := next(t, reader, anyVideo)
		if f.DTS < after.DTS {
			t.Fatalf("DTS goes back: %s", describe(f))
		}
		after = f
	}
}

func TestAKilledEncoderThatStaysAwayEndsTheStream(t *testing.T) {
	r := newRig(t, nil, func(o *Options) { o.Hub = hub.New(hub.Options{Hold: 500 * time.Millisecond}) })
	p := r.publish(testsrc.Options{URL: r.url("/live/gone")})
	s := r.stream("live", "gone", media.Video)
	reader := s.NewReader()
	defer reader.Close()
	next(t, reader, anyVideo)
	p.Kill()
	atEnd(t, reader) // after the hold time
}

func TestShutdownTellsTheEncoderAndHoldsTheStream(t *testing.T) {
	r := newRig(t, nil)
	p := r.publish(testsrc.Options{URL: r.url("/live/down")})
	s := r.stream("live", "down", media.Video)
	ctx, cancel := context.WithTimeout(t.Context(), testkit.Patience())
	defer cancel()
	if err := r.server.Shutdown(ctx); err != nil {
		t.Fatal(err)
	}
	select {
	case <-s.Done():
		t.Error("the stream has ended; it should be held")
	default:
	}
	if err := p.Wait(ctx); err == nil || errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("ffmpeg ended with %v", err)
	}
	contains(t, p.Output(), "shutting down")
}
