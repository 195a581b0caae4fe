package hub

import (
	"context"
	"errors"
	"io"
	"slices"
	"testing"
	"time"

	"github.com/millrace/millrace/dataplane/media"
	"github.com/millrace/millrace/internal/testkit"
)

var (
	testKey   = Key{Space: "rts.example.com", App: "live", Name: "stream"}
	testVideo = &media.Track{Codec: media.H264}
)

// frame makes a frame of video of the given size.
func frame(key bool, at time.Duration, size int) *media.Frame {
	return &media.Frame{Track: testVideo, Key: key, DTS: at, PTS: at, Units: [][]byte{make([]byte, size)}, Size: size}
}

func publish(t *testing.T, h *Hub, by Publisher) *Publication {
	t.Helper()
	p, err := h.Publish(testKey, by)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// write writes frames of 40 ms from the time at on: a key frame, then others.
func write(t *testing.T, p *Publication, at time.Duration, frames int) {
	t.Helper()
	for i := range frames {
		if err := p.Write(frame(i == 0, at+time.Duration(i)*40*time.Millisecond, 100)); err != nil {
			t.Fatal(err)
		}
	}
}

func next(t *testing.T, r *Reader) *media.Frame {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), testkit.Patience())
	defer cancel()
	f, err := r.Next(ctx)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

func awaitDone(t *testing.T, what string, done <-chan struct{}) {
	t.Helper()
	select {
	case <-done:
	case <-time.After(testkit.Patience()):
		t.Fatalf("%s is not over", what)
	}
}

func TestBusyAndReplace(t *testing.T) {
	h := New(Options{})
	defer h.Close()
	old := publish(t, h, Publisher{Remote: "a"})
	if _, err := h.Publish(testKey, Publisher{Remote: "b"}); !errors.Is(err, ErrBusy) {
		t.Fatalf("a second publisher gets %v", err)
	}
	write(t, old, 0, 3)
	r := old.Stream().NewReader()
	defer r.Close()
	for range 3 {
		next(t, r)
	}
	p := publish(t, h, Publisher{Remote: "b", Replace: true})
	awaitDone(t, "the replaced publication", old.Done())
	if !errors.Is(old.Cause(), ErrReplaced) {
		t.Errorf("cause %v", old.Cause())
	}
	if err := old.Write(frame(true, 0, 1)); !errors.Is(err, ErrReplaced) {
		t.Errorf("a replaced publisher writes: %v", err)
	}
	old.SetTracks([]*media.Track{{Codec: media.H265}})
	old.SetFacts(media.Facts{BFrames: true})
	old.End() // says nothing of the stream any more
	s := h.Lookup(testKey)
	if s != p.Stream() || !s.Live() || s.Epoch() != 2 || s.Publisher().Remote != "b" || s.Tracks() != nil ||
		s.Facts().BFrames {
		t.Errorf("epoch %d of %+v", s.Epoch(), s.Publisher())
	}
	write(t, p, time.Hour, 1)
	if f := next(t, r); f.Epoch != 2 || !f.Key {
		t.Errorf("the reader goes on with %+v", f)
	}
}

// A publisher that comes back within the hold time continues the stream: sequence and timeline go on.
func TestHeldStreamContinues(t *testing.T) {
	h := New(Options{Hold: time.Hour})
	defer h.Close()
	first := publish(t, h, Publisher{})
	write(t, first, 500*time.Hour, 3)
	r := first.Stream().NewReader()
	defer r.Close()
	var last *media.Frame
	for i := range 3 {
		last = next(t, r)
		if want := time.Duration(i) * 40 * time.Millisecond; last.DTS != want || last.PTS != want {
			t.Errorf("frame %d of the first publisher is at %v", i, last.DTS)
		}
	}
	first.Abandon()
	s := h.Lookup(testKey)
	if s == nil || s.Live() {
		t.Fatal("the stream is not held")
	}
	if f, err := r.TryNext(); f != nil || err != nil {
		t.Fatalf("a held stream gives %v, %v", f, err)
	}
	second := publish(t, h, Publisher{})
	if second.Stream() != s {
		t.Fatal("a new stream was made")
	}
	if err := second.Write(frame(false, 7*time.Second, 10)); err != nil { // before its key frame: dropped
		t.Fatal(err)
	}
	write(t, second, 7*time.Second+40*time.Millisecond, 2)
	a, b := next(t, r), next(t, r)
	if a.Seq != last.Seq+1 || !a.Key || a.Epoch != 2 || a.DTS < last.DTS+10*time.Millisecond ||
		b.DTS != a.DTS+40*time.Millisecond {
		t.Errorf("after %d at %v come %d at %v and %v", last.Seq, last.DTS, a.Seq, a.DTS, b.DTS)
	}
}

func TestEndAndExpire(t *testing.T) {
	for name, end := range map[string]func(*Publication){"End": (*Publication).End, "Abandon": (*Publication).Abandon} {
		h := New(Options{Hold: time.Millisecond})
		p := publish(t, h, Publisher{})
		write(t, p, 0, 2)
		r := p.Stream().NewReader()
		end(p)
		awaitDone(t, name, p.Stream().Done())
		awaitDone(t, name, p.Done())
		for range 2 { // what is in the ring is still read
			next(t, r)
		}
		if _, err := r.Next(t.Context()); !errors.Is(err, io.EOF) {
			t.Errorf("%s: a reader gets %v", name, err)
		}
		if err := p.Write(frame(true, 0, 1)); !errors.Is(err, ErrEnded) {
			t.Errorf("%s: a write gives %v", name, err)
		}
		for deadline := time.Now().Add(testkit.Patience()); h.Lookup(testKey) != nil; {
			if time.Now().After(deadline) {
				t.Fatalf("%s: the stream is still in the hub", name)
			}
			time.Sleep(time.Millisecond)
		}
		if again := publish(t, h, Publisher{}); again.Stream() == p.Stream() || again.Stream().Epoch() != 1 {
			t.Errorf("%s: an ended stream goes on", name)
		}
		h.Close()
	}
}

func TestKickHoldsTheStream(t *testing.T) {
	h := New(Options{Hold: time.Hour})
	defer h.Close()
	p := publish(t, h, Publisher{})
	why := errors.New("right lost")
	p.Stream().Kick(why)
	awaitDone(t, "the publication", p.Done())
	if err := p.Write(frame(true, 0, 1)); !errors.Is(err, why) || !errors.Is(p.Cause(), why) {
		t.Errorf("write %v, cause %v", err, p.Cause())
	}
	p.Abandon()          // as its connection does then
	p.Stream().Kick(why) // nobody to kick
	if s := h.Lookup(testKey); s == nil || s.Live() {
		t.Error("the stream is not held")
	}
}

// A publisher that comes at the very moment at which the stream ends has a live stream that can be found, or is told
// that it is over: it never writes into nothing.
func TestPublishAtTheEndOfTheStream(t *testing.T) {
	for name, end := range map[string]func(*Publication){"end": (*Publication).End, "expiry": (*Publication).Abandon} {
		h := New(Options{Hold: 20 * time.Microsecond})
		for range 3000 {
			p := publish(t, h, Publisher{Replace: true})
			go end(p)
			var q *Publication
			for q == nil {
				q, _ = h.Publish(testKey, Publisher{})
			}
			<-p.Done()
			err := q.Write(frame(true, 0, 10))
			select {
			case <-q.Done():
				t.Fatalf("%s: the newcomer was ended: %v", name, q.Cause())
			default:
			}
			if s := h.Lookup(testKey); err != nil || s != q.Stream() || !s.Live() {
				t.Fatalf("%s: the newcomer's stream is not in the hub (write: %v)", name, err)
			}
		}
		h.Close()
	}
}

func TestWatchAndList(t *testing.T) {
	h := New(Options{})
	var seen []string
	stop := h.Watch(func(s *Stream, live bool) {
		if live {
			seen = append(seen, "+"+s.Key.Name)
		} else {
			seen = append(seen, "-"+s.Key.Name)
		}
	})
	var pubs []*Publication
	for _, name := range []string{"b", "a"} {
		p, err := h.Publish(Key{"rts.example.com", "live", name}, Publisher{})
		if err != nil {
			t.Fatal(err)
		}
		pubs = append(pubs, p)
	}
	if all := h.Streams(); len(all) != 2 || all[0].Key.Name != "a" || all[1].Key.String() != "rts.example.com/live/b" {
		t.Errorf("streams %v", all)
	}
	pubs[0].End()
	stop()
	pubs[1].End()
	if want := []string{"+b", "+a", "-b"}; !slices.Equal(seen, want) {
		t.Errorf("seen %v, want %v", seen, want)
	}
}

func TestCloseEndsAll(t *testing.T) {
	h := New(Options{})
	p := publish(t, h, Publisher{})
	r := p.Stream().NewReader()
	h.Close()
	if _, err := r.Next(t.Context()); !errors.Is(err, io.EOF) {
		t.Errorf("a reader gets %v", err)
	}
	if err := p.Write(frame(true, 0, 1)); !errors.Is(err, ErrClosed) {
		t.Errorf("a publisher gets %v", err)
	}
	if _, err := h.Publish(testKey, Publisher{}); !errors.Is(err, ErrClosed) {
		t.Errorf("a newcomer gets %v", err)
	}
}

func TestTracks(t *testing.T) {
	h := New(Options{})
	defer h.Close()
	p := publish(t, h, Publisher{})
	s := p.Stream()
	opus := &media.Track{Codec: media.Opus}
	p.SetTracks([]*media.Track{testVideo, opus})
	p.SetFacts(media.Facts{BFrames: true})
	if s.Track(media.Video) != testVideo || s.Track(media.Audio) != opus || !s.Facts().BFrames || s.Since().IsZero() {
		t.Errorf("%v %+v", s.Tracks(), s.Facts())
	}
	p.SetTracks([]*media.Track{testVideo})
	if s.Track(media.Audio) != nil {
		t.Error("a track that is gone is still there")
	}
}
