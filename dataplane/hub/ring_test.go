package hub

import (
	"testing"
	"time"

	"github.com/millrace/millrace/dataplane/media"
)

// check asserts what holds of a ring at any time.
func (r *ring) check(t *testing.T) {
	t.Helper()
	bytes, keys := 0, []uint64{}
	for seq := r.first; seq < r.next; seq++ {
		f := r.at(seq)
		if f == nil || f.Seq != seq {
			t.Fatalf("frame %d is %+v", seq, f)
		}
		bytes += cost(f)
		if f.Key {
			keys = append(keys, seq)
		}
	}
	if bytes != r.bytes || len(keys) != len(r.keys) {
		t.Fatalf("%d bytes counted as %d, %d keys as %d", bytes, r.bytes, len(keys), len(r.keys))
	}
	if r.bytes > r.maxBytes {
		t.Fatalf("%d bytes, bound %d", r.bytes, r.maxBytes)
	}
	held := 0
	for _, f := range r.frames {
		if f != nil {
			held++
		}
	}
	if held != int(r.next-r.first) {
		t.Fatalf("%d frames are held, %d are in the ring", held, r.next-r.first)
	}
}

func TestRingKeepsWholeGOPs(t *testing.T) {
	for name, c := range map[string]struct {
		maxBytes int
		maxAge   time.Duration
		gop      int
	}{
		"bytes":         {20_000, time.Hour, 10},
		"age":           {1 << 30, 2 * time.Second, 10},
		"both":          {50_000, 3 * time.Second, 25},
		"all are key":   {1 << 30, time.Second, 1},
		"GOP of 2 ages": {1 << 30, 2 * time.Second, 75},
	} {
		r := newRing(c.maxBytes, c.maxAge)
		for i := range 1000 {
			at := time.Duration(i) * 40 * time.Millisecond
			r.push(frame(i%c.gop == 0, at, 100+i%7))
			r.check(t)
			first := r.at(r.first)
			if !first.Key {
				t.Fatalf("%s: after %d frames the ring starts at %d, which is no key frame", name, i, first.Seq)
			}
			// Never more than the age and one GOP.
			if span := at - first.DTS; span > c.maxAge+time.Duration(c.gop)*40*time.Millisecond {
				t.Fatalf("%s: %v are held", name, span)
			}
			if key := r.newestKey(); key != uint64(i-i%c.gop) {
				t.Fatalf("%s: newest key %d after frame %d", name, key, i)
			}
		}
	}
}

// A GOP that alone exceeds the bounds loses its front: the bounds hold, and readers join at the next key frame.
func TestRingCutsAGOPBeyondItsBounds(t *testing.T) {
	for name, r := range map[string]ring{"bytes": newRing(10_000, time.Hour), "age": newRing(1<<30, time.Second)} {
		for i := range 500 {
			r.push(frame(i == 0, time.Duration(i)*40*time.Millisecond, 100))
			r.check(t)
		}
		if seq := r.newestKey(); seq != r.next {
			t.Errorf("%s: a reader would join at %d of %d..%d", name, seq, r.first, r.next)
		}
		r.push(frame(true, 500*40*time.Millisecond, 100))
		if seq := r.newestKey(); seq != 500 {
			t.Errorf("%s: newest key %d", name, seq)
		}
		for i := range 500 { // and the remains of the old GOP go first
			r.push(frame(i%10 == 9, (501+time.Duration(i))*40*time.Millisecond, 100))
			r.check(t)
		}
		if !r.at(r.first).Key {
			t.Errorf("%s: the ring does not start at a key frame again", name)
		}
	}
}

// A frame larger than the whole ring, and a flood of frames that are next to nothing or stand still in time, stay
// within the bound.
func TestRingBoundsOddFrames(t *testing.T) {
	r := newRing(100_000, time.Second)
	r.push(frame(true, 0, 1_000_000))
	r.check(t)
	for range 20_000 {
		f := &media.Frame{Track: &media.Track{Codec: media.Opus}, Key: true}
		r.push(f)
	}
	r.check(t)
	if n := r.next - r.first; n > 1000 {
		t.Errorf("%d empty frames are held", n)
	}
	for i := range 1000 { // time runs backwards
		r.push(frame(i%10 == 0, -time.Duration(i)*time.Second, 200))
	}
	r.check(t)
}
