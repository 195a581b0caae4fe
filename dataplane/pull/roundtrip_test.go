package pull

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"testing"
	"time"

	"github.com/millrace/millrace/dataplane/announce"
	"github.com/millrace/millrace/dataplane/hub"
	"github.com/millrace/millrace/dataplane/media"
	"github.com/millrace/millrace/internal/testkit"
	"github.com/millrace/millrace/internal/testsrc"
)

// opusFrames are 20 ms each: silence of RFC 6716, with a number behind it.
func opusFrames(t *testing.T, n int) ([]*media.Track, []*media.Frame) {
	t.Helper()
	track, err := media.NewOpusTrack(2)
	if err != nil {
		t.Fatal(err)
	}
	zero := time.Now().Add(-time.Hour).Round(0)
	var all []*media.Frame
	for i := range n {
		at := time.Duration(i) * 20 * time.Millisecond
		all = append(all, &media.Frame{
			Track: track, Key: true, DTS: at, PTS: at, Ingest: zero.Add(at), Units: [][]byte{{0xF8, 0xFF, 0xFE, byte(i)}},
			Size: 4,
		})
	}
	return []*media.Track{track}, all
}

// What comes out of a pull is what went in.
func TestPullKeepsTheStream(t *testing.T) {
	sources := map[string]func(*testing.T) ([]*media.Track, []*media.Frame){
		"H264 and AAC": func(t *testing.T) ([]*media.Track, []*media.Frame) {
			return recording(t, testsrc.Options{Audio: true}, 150)
		},
		"H264 with B-frames": func(t *testing.T) ([]*media.Track, []*media.Frame) {
			return recording(t, testsrc.Options{BFrames: 2}, 50)
		},
		"AAC alone": func(t *testing.T) ([]*media.Track, []*media.Frame) {
			return recording(t, testsrc.Options{NoVideo: true}, 60)
		},
		"H265": h265Recording,
		"Opus": func(t *testing.T) ([]*media.Track, []*media.Frame) { return opusFrames(t, 60) },
	}
	for name, source := range sources {
		t.Run(name, func(t *testing.T) {
			tracks, frames := source(t)
			from, to := newHub(t), newHub(t)
			pub := publish(t, from, tracks...)
			write(t, pub, frames[0])
			done := serve(t, from, nil).pullInto(t, to)
			r := reader(t, to)
			got := []*media.Frame{next(t, r)}
			for _, f := range frames[1:] {
				write(t, pub, f)
			}
			for len(got) < len(frames) {
				got = append(got, next(t, r))
			}
			compare(t, frames, got)
			checkTracks(t, tracks, to.Lookup(streamKey()).Tracks())
			pub.End()
			if err := result(t, done); err != nil {
				t.Errorf("the end of the stream is told as %v", err)
			}
			wantEOF(t, r)
			if to.Lookup(streamKey()) != nil {
				t.Error("the stream goes on after its end")
			}
		})
	}
}

// What comes at once from an origin's ring tells the rates of the source, though nothing comes after it.
func TestPullTellsRatesOfWhatIsThere(t *testing.T) {
	tracks, frames := recording(t, testsrc.Options{GOPSeconds: 10}, 45)
	from, to := newHub(t), newHub(t)
	pub := publish(t, from, tracks...)
	for _, f := range frames {
		write(t, pub, f)
	}
	serve(t, from, nil).pullInto(t, to)
	testkit.Eventually(t, "the frame rate", func() bool {
		s := to.Lookup(streamKey())
		return s != nil && s.Facts().FPS > 0 && s.Facts().VideoKbps > 0
	})
}

// announced returns facts as another pod reads them.
func announced(t *testing.T, f media.Facts) media.Facts {
	t.Helper()
	text, err := json.Marshal(announce.Stream{Facts: f})
	if err != nil {
		t.Fatal(err)
	}
	var s announce.Stream
	if err := json.Unmarshal(text, &s); err != nil {
		t.Fatal(err)
	}
	return s.Facts
}

// Who pulls a stream need not wait for what its origin knows, and does not take it from the encoder's word.
func TestPullTellsWhatTheOriginSaid(t *testing.T) {
	tracks, frames := recording(t, testsrc.Options{}, 1)
	from, to := newHub(t), newHub(t)
	write(t, publish(t, from, tracks...), frames[0])
	said := media.Facts{
		VideoCodec: media.H264, Width: tracks[0].Width, Height: tracks[0].Height, FPS: 30, VideoKbps: 900, BFrames: true,
		GOP: 2 * time.Second, GOPKnown: true,
	}
	first := said
	first.GOPKnown, first.AnnouncedGOP = false, 8*time.Second
	for name, c := range map[string]struct {
		said media.Facts
		gop  time.Duration
	}{"known": {said, said.GOP}, "by the encoder's word": {first, 0}} {
		if got := announced(t, c.said); got.GOP != c.gop {
			t.Errorf("%s: a GOP of %s is told", name, got.GOP)
		}
	}
	runClient(
		t,
		&Client{
			URL:  "rtsp://" + serve(t, from, nil).address + streamPath,
			Hub:  to,
			Key:  streamKey(),
			Told: announced(t, said),
		},
	)
	next(t, reader(t, to))
	if f := to.Lookup(streamKey()).Facts(); f.FPS != 30 || f.VideoKbps != 900 || !f.BFrames || f.GOP != 2*time.Second ||
		!f.GOPKnown {
		t.Errorf("after one frame: %+v", f)
	}
}

func compare(t *testing.T, want, got []*media.Frame) {
	t.Helper()
	reordered := false
	last := map[media.Kind]time.Duration{}
	for i, w := range want {
		g := got[i]
		if g.Track.Codec != w.Track.Codec || g.Key != w.Key || g.Disposable != w.Disposable || content(g) != content(w) {
			t.Fatalf(
				"frame %d: got %s key=%v of %d bytes, want %s key=%v of %d bytes",
				i,
				g.Track.Codec,
				g.Key,
				g.Size,
				w.Track.Codec,
				w.Key,
				w.Size,
			)
		}
		// A unit of an RTP clock is 11 us at 90 kHz and 21 us at 48 kHz.
		if d := (g.PTS - got[0].PTS) - (w.PTS - want[0].PTS); d.Abs() > 50*time.Microsecond {
			t.Fatalf("frame %d (%s): PTS is off by %s", i, w.Track.Codec, d)
		}
		if before, ok := last[g.Kind()]; g.DTS > g.PTS || ok && g.DTS < before {
			t.Fatalf("frame %d: DTS %s, PTS %s, DTS before %s", i, g.DTS, g.PTS, before)
		}
		last[g.Kind()] = g.DTS
		// The line of the reports follows DTS; DTS itself is estimated, within the reordering of pictures.
		if d := g.Ingest.Sub(w.Ingest); d.Abs() > wallDrift+250*time.Millisecond {
			t.Fatalf("frame %d: ingest time is off by %s", i, d)
		}
		reordered = reordered || w.PTS > w.DTS
	}
	if reordered {
		for i, g := range got {
			if g.PTS > g.DTS {
				return
			}
			if i == len(got)-1 {
				t.Error("pictures are reordered, but no DTS differs from its PTS")
			}
		}
	}
}

func checkTracks(t *testing.T, want, got []*media.Track) {
	t.Helper()
	if len(got) != len(want) {
		t.Fatalf("got %d tracks, want %d", len(got), len(want))
	}
	for i, w := range want {
		g := got[i]
		if g.Codec != w.Codec || g.Width != w.Width || g.Height != w.Height || g.SampleRate != w.SampleRate ||
			g.Channels != w.Channels ||
			// an extension that says "no SBR" is left out
			!bytes.Equal(g.SPS, w.SPS) ||
			!bytes.Equal(g.PPS, w.PPS) ||
			!bytes.HasPrefix(w.Config, g.Config) {
			t.Errorf("track %d: got %+v, want %+v", i, g, w)
		}
	}
}

func TestPullGoesOnWithANewPublisher(t *testing.T) {
	tracks, frames := opusFrames(t, 20)
	from, to := newHub(t), newHub(t)
	old := publish(t, from, tracks...)
	write(t, old, frames[0])
	serve(t, from, nil).pullInto(t, to)
	r := reader(t, to)
	first := next(t, r)
	newer := publish(t, from, tracks...)
	if err := old.Write(frames[1]); !errors.Is(err, hub.ErrReplaced) {
		t.Fatalf("the first publisher is not replaced: %v", err)
	}
	for _, f := range frames[10:] {
		write(t, newer, f)
	}
	for i, w := range frames[10:] {
		g := next(t, r)
		if content(g) != content(w) {
			t.Fatalf("frame %d of the new publisher did not come", i)
		}
		if g.PTS <= first.PTS {
			t.Fatalf("frame %d lies at %s, before %s of the first publisher", i, g.PTS, first.PTS)
		}
	}
}

// A connection that breaks is no end: the stream is held, and the next pull continues it.
func TestBrokenPullIsContinued(t *testing.T) {
	tracks, frames := opusFrames(t, 20)
	from, to := newHub(t), newHub(t)
	pub := publish(t, from, tracks...)
	write(t, pub, frames[0])
	one := serve(t, from, nil)
	done := one.pullInto(t, to)
	r := reader(t, to)
	next(t, r)
	one.stop()
	if err := result(t, done); !errors.Is(err, ErrBroken) {
		t.Fatalf("got %v, want %v", err, ErrBroken)
	}
	s := to.Lookup(streamKey())
	if s == nil || s.Live() {
		t.Fatal("the stream is not held")
	}
	serve(t, from, nil).pullInto(t, to)
	if f := next(t, r); content(f) != content(frames[0]) || f.Epoch != 2 {
		t.Errorf("the stream goes on with epoch %d, want the second pull's first frame", f.Epoch)
	}
}

func TestUnknownStreamIsToldApart(t *testing.T) {
	to := newHub(t)
	r := serve(t, newHub(t), nil)
	if err := result(t, r.pullInto(t, to)); !errors.Is(err, ErrNotFound) {
		t.Errorf("got %v, want %v", err, ErrNotFound)
	}
	if to.Lookup(streamKey()) != nil {
		t.Error("something was published")
	}
	if n := r.count(t, "millrace_pull_refused_total", "unknown"); n != 1 {
		t.Errorf("%v refusals are counted", n)
	}
}

func TestEndOfContextAbandons(t *testing.T) {
	tracks, frames := opusFrames(t, 1)
	from, to := newHub(t), newHub(t)
	write(t, publish(t, from, tracks...), frames[0])
	one := serve(t, from, nil)
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() {
		client := &Client{
			URL: "rtsp://" + one.address + streamPath, Hub: to, Key: streamKey(), Timeout: testkit.Patience(),
		}
		done <- client.Run(ctx)
	}()
	next(t, reader(t, to))
	cancel()
	if err := result(t, done); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
	if s := to.Lookup(streamKey()); s == nil || s.Live() {
		t.Error("the stream is not held")
	}
}
