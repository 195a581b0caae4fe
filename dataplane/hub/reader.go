package hub

import (
	"context"
	"io"
	"math"
	"slices"
	"sync/atomic"
	"time"

	"github.com/millrace/millrace/dataplane/media"
)

// Reader is a cursor into a stream. One goroutine reads.
type Reader struct {
	s       *Stream
	next    uint64
	joined  bool // a key frame was delivered; until then other frames are passed over
	wake    chan struct{}
	waiting bool // in the stream's list of waiters; guarded by the stream's lock, as is closed
	closed  bool
	skipped atomic.Uint64
}

// NewReader makes a reader that starts at the newest key frame in the ring, or at the next one to come.
func (s *Stream) NewReader() *Reader {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.read(s.ring.newestKey())
}

// NewReaderAt makes a reader that starts at the newest key frame whose DTS is not after a time, or at the oldest one in
// the ring: for those that go on where they were.
func (s *Stream) NewReaderAt(dts time.Duration) *Reader {
	s.mu.Lock()
	defer s.mu.Unlock()
	seq := s.ring.newestKey()
	for _, key := range slices.Backward(s.ring.keys) {
		if seq = key; s.ring.at(key).DTS <= dts {
			break
		}
	}
	return s.read(seq)
}

// NewReplay makes a reader that starts at the oldest key frame in the ring: for those that make segments of what has
// been already.
func (s *Stream) NewReplay() *Reader {
	return s.NewReaderAt(math.MinInt64)
}

// read makes a reader; the stream is locked.
func (s *Stream) read(from uint64) *Reader {
	s.readers++
	s.idle = time.Time{}
	return &Reader{s: s, next: from, wake: make(chan struct{}, 1)}
}

// Next returns the next frame, waiting for it. It returns io.EOF when the stream has ended and all its frames were
// read, or the context's error. A reader that fell out of the ring goes on at the newest key frame; what it missed is
// counted.
func (r *Reader) Next(ctx context.Context) (*media.Frame, error) {
	for {
		if f, err := r.poll(); f != nil || err != nil {
			return f, err
		}
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-r.wake:
		}
	}
}

// poll returns a frame if there is one; else it puts the reader into the stream's list of waiters.
func (r *Reader) poll() (*media.Frame, error) {
	s := r.s
	s.mu.Lock()
	defer s.mu.Unlock()
	if r.closed {
		return nil, io.EOF
	}
	if r.next < s.ring.first { // fell behind
		seq := s.ring.newestKey()
		r.skipped.Add(seq - r.next)
		r.next = seq
		r.joined = false
	}
	for r.next < s.ring.next {
		f := s.ring.at(r.next)
		r.next++
		if !r.joined && !f.Key {
			continue
		}
		r.joined = true
		return f, nil
	}
	if s.ended {
		return nil, io.EOF
	}
	if !r.waiting {
		r.waiting = true
		s.wait = append(s.wait, r)
	}
	return nil, nil
}

// TryNext is Next without waiting: it gives nil and no error when there is no frame yet.
func (r *Reader) TryNext() (*media.Frame, error) { return r.poll() }

// signal wakes the goroutine in Next; a signal that finds one pending adds nothing.
func (r *Reader) signal() {
	select {
	case r.wake <- struct{}{}:
	default:
	}
}

// Skipped counts the frames that the reader missed because it was too slow.
func (r *Reader) Skipped() uint64 { return r.skipped.Load() }

// Close ends the reader: a waiting Next returns io.EOF.
func (r *Reader) Close() {
	r.s.mu.Lock()
	if !r.closed {
		r.closed = true
		if r.s.readers--; r.s.readers == 0 {
			r.s.idle = time.Now()
		}
	}
	r.s.mu.Unlock()
	r.signal()
}
