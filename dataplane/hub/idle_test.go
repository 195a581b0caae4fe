package hub

import (
	"errors"
	"testing"
	"time"

	"github.com/millrace/millrace/dataplane/media"
)

func TestAStreamThatNobodyReadsIsEnded(t *testing.T) {
	h := New(Options{})
	defer h.Close()
	key := Key{"play.example.com", "live", "one"}
	p, err := h.Publish(key, Publisher{})
	if err != nil {
		t.Fatal(err)
	}
	s := h.Lookup(key)
	if s.FinishIdle(time.Hour) {
		t.Error("it was ended before the time")
	}
	r := s.NewReader()
	if s.FinishIdle(0) {
		t.Error("it was ended under a reader")
	}
	r.Close()
	if !s.FinishIdle(0) || s.FinishIdle(0) || h.Lookup(key) != nil {
		t.Error("it is still there")
	}
	<-p.Done()
	if !errors.Is(p.Cause(), ErrIdle) {
		t.Errorf("the publisher was told %v", p.Cause())
	}
}

// A stream that is pulled again begins with frames from before: its edge stays where the ingest's clock says.
func TestAPulledStreamGoesOnByTheClockOfTheIngest(t *testing.T) {
	h := New(Options{})
	defer h.Close()
	key := Key{"play.example.com", "live", "one"}
	track := &media.Track{Codec: media.Opus, SampleRate: 48000, Channels: 2}
	began := time.Now().Add(-10 * time.Second)
	write := func(p *Publication, dts, ingest time.Duration) time.Duration {
		t.Helper()
		f := &media.Frame{Track: track, Key: true, DTS: dts, PTS: dts, Ingest: began.Add(ingest), Size: 1}
		if err := p.Write(f); err != nil {
			t.Fatal(err)
		}
		return f.DTS
	}
	first, err := h.Publish(key, Publisher{})
	if err != nil {
		t.Fatal(err)
	}
	write(first, 0, 0)
	write(first, 5*time.Second, 5*time.Second)
	second, err := h.Publish(key, Publisher{Replace: true})
	if err != nil {
		t.Fatal(err)
	}
	// The other origin's publish began 6 s after ours; its frames come all at once.
	for _, at := range []time.Duration{0, time.Second, 2 * time.Second} {
		got := write(second, at, 6*time.Second+at)
		// Time between publishers is also bounded by when frames came: these came at once, so 10 ms is the least that passed.
		if want := 6*time.Second + at; got > want || got < 5*time.Second+at {
			t.Errorf("a frame of second %v has DTS %v", want, got)
		}
	}
}
