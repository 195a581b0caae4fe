package hub

import (
	"context"
	"errors"
	"io"
	"testing"
	"time"

	"github.com/millrace/millrace/dataplane/media"
)

func TestReaderStartsAtTheNewestKeyFrame(t *testing.T) {
	h := New(Options{})
	defer h.Close()
	p := publish(t, h, Publisher{})
	early := p.Stream().NewReader() // before there is any frame
	for i := range 3 {
		write(t, p, time.Duration(i)*400*time.Millisecond, 10)
	}
	if f := next(t, early); f.Seq != 0 {
		t.Errorf("the early reader starts at %d", f.Seq)
	}
	late := p.Stream().NewReader()
	for want := uint64(20); want < 30; want++ {
		if f := next(t, late); f.Seq != want || f.Key != (want == 20) {
			t.Errorf("frame %d instead of %d", f.Seq, want)
		}
	}
	if late.Skipped() != 0 || early.Skipped() != 0 {
		t.Error("a reader that keeps up is said to skip")
	}
}

// Who goes on where it was begins with the last key frame before, or with the oldest that there is.
func TestReaderAt(t *testing.T) {
	h := New(Options{})
	defer h.Close()
	p := publish(t, h, Publisher{})
	if r := p.Stream().NewReaderAt(time.Second); r.next != 0 {
		t.Errorf("before any frame it starts at %d", r.next)
	}
	for i := range 4 {
		write(t, p, time.Duration(i+1)*400*time.Millisecond, 10)
	}
	first, third := p.Stream().ring.at(0).DTS, p.Stream().ring.at(20).DTS
	for at, want := range map[time.Duration]uint64{first - time.Hour: 0, first: 0, third - 1: 10, third: 20, third + 1: 20,
		third + time.Hour: 30} {
		if f := next(t, p.Stream().NewReaderAt(at)); f.Seq != want || !f.Key {
			t.Errorf("from %s on it starts at %d, want %d", at, f.Seq, want)
		}
	}
}

func TestSlowReaderSkipsToTheNewestKeyFrame(t *testing.T) {
	h := New(Options{MaxBytes: 10 * (100 + frameOverhead)})
	defer h.Close()
	p := publish(t, h, Publisher{})
	write(t, p, 0, 5)
	r := p.Stream().NewReader()
	next(t, r)
	next(t, r) // stands at 2 now
	for i := range 10 {
		write(t, p, time.Duration(i+1)*200*time.Millisecond, 5)
	}
	if f := next(t, r); f.Seq != 50 || !f.Key {
		t.Errorf("the reader goes on at %d", f.Seq)
	}
	if r.Skipped() != 48 {
		t.Errorf("%d frames are said to be skipped", r.Skipped())
	}
	for want := uint64(51); want < 55; want++ {
		if f := next(t, r); f.Seq != want {
			t.Errorf("frame %d instead of %d", f.Seq, want)
		}
	}
}

// In a GOP that outgrew the ring a reader that fell out waits for the next key frame: it never gets frames without
// their reference.
func TestReaderThatFellOutOfALongGOPWaits(t *testing.T) {
	h := New(Options{MaxBytes: 10 * (100 + frameOverhead)})
	defer h.Close()
	p := publish(t, h, Publisher{})
	r := p.Stream().NewReader()
	write(t, p, 0, 30)
	if f, err := r.TryNext(); f != nil || err != nil {
		t.Fatalf("got %+v, %v", f, err)
	}
	write(t, p, 2*time.Second, 1)
	if f := next(t, r); f.Seq != 30 || r.Skipped() != 30 {
		t.Errorf("frame %d, %d skipped", f.Seq, r.Skipped())
	}
}

func TestReaderWaitsForFramesContextAndClose(t *testing.T) {
	h := New(Options{})
	defer h.Close()
	p := publish(t, h, Publisher{})
	r := p.Stream().NewReader()
	ctx, cancel := context.WithCancel(t.Context())
	got := make(chan error)
	wait := func(ctx context.Context) {
		go func() {
			_, err := r.Next(ctx)
			got <- err
		}()
	}
	wait(ctx)
	cancel()
	if err := <-got; !errors.Is(err, context.Canceled) {
		t.Errorf("a cancelled reader gets %v", err)
	}
	wait(t.Context())
	write(t, p, 0, 1)
	if err := <-got; err != nil {
		t.Errorf("a waiting reader gets %v", err)
	}
	wait(t.Context())
	r.Close()
	if err := <-got; !errors.Is(err, io.EOF) {
		t.Errorf("a closed reader gets %v", err)
	}
}

func BenchmarkWriteAndNext(b *testing.B) {
	h := New(Options{})
	defer h.Close()
	p, err := h.Publish(testKey, Publisher{})
	if err != nil {
		b.Fatal(err)
	}
	r := p.Stream().NewReader()
	payload := [][]byte{make([]byte, 10_000)}
	frames := make([]media.Frame, b.N)
	for i := range frames {
		frames[i] = media.Frame{
			Track: testVideo,
			Key:   i%50 == 0,
			DTS:   time.Duration(i) * 40 * time.Millisecond,
			Units: payload,
			Size:  10_000,
		}
	}
	b.ReportAllocs()
	b.ResetTimer()
	for i := range frames {
		if err := p.Write(&frames[i]); err != nil {
			b.Fatal(err)
		}
		if f, err := r.TryNext(); f == nil || err != nil {
			b.Fatal(err)
		}
	}
}
