package hub

import (
	"sync"
	"time"

	"github.com/millrace/millrace/dataplane/media"
)

// Stream is one live stream: a ring of frames that always starts at a key frame (see ring), and its readers. It
// outlives its publisher by the hub's hold time, so that a new publisher can continue it.
type Stream struct {
	Key Key

	hub  *Hub
	done chan struct{}

	mu     sync.Mutex
	ring   ring
	wait   []*Reader    // those that wait for the next frame
	pub    *Publication // nil while held
	by     Publisher
	since  time.Time
	epoch  uint64
	tracks []*media.Track
	facts  media.Facts
	hold   *time.Timer
	ended  bool

	readers int
	idle    time.Time // since when there has been no reader; zero while there is one

	// The stream's timeline, kept over changes of publisher.
	lastDTS    time.Duration // highest DTS written
	lastWall   time.Time     // when it was written
	lastIngest time.Time     // when its frame reached the ingest; zero: not known
}

func newStream(h *Hub, key Key) *Stream {
	return &Stream{
		Key:  key,
		hub:  h,
		done: make(chan struct{}),
		ring: newRing(h.opt.MaxBytes, h.opt.MaxAge),
		idle: time.Now(),
	}
}

// adopt makes by the stream's publisher; ErrEnded says that the stream is over and a new one has to take its place.
func (s *Stream) adopt(by Publisher) (*Publication, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ended {
		return nil, ErrEnded
	}
	if s.pub != nil {
		if !by.Replace && (by.Yields || !s.by.Yields) {
			return nil, ErrBusy
		}
		s.pub.stop(ErrReplaced)
	}
	if s.hold != nil {
		s.hold.Stop()
		s.hold = nil
	}
	s.epoch++
	s.by = by
	s.since = time.Now()
	s.pub = &Publication{stream: s, epoch: s.epoch, done: make(chan struct{})}
	return s.pub, nil
}

// release ends p's hold on the stream: at once, or after the hold time when the encoder may come back.
func (s *Stream) release(p *Publication, held bool) {
	s.mu.Lock()
	if s.pub != p {
		s.mu.Unlock()
		return
	}
	s.pub = nil
	if held {
		s.hold = time.AfterFunc(s.hub.opt.Hold, func() { s.expire(p.epoch) })
		s.mu.Unlock()
		return
	}
	s.finishLocked(ErrEnded)
	s.mu.Unlock()
	s.hub.remove(s)
}

// expire ends the stream unless a publisher later than epoch has taken it.
func (s *Stream) expire(epoch uint64) {
	s.mu.Lock()
	over := !s.ended && s.epoch == epoch && s.pub == nil
	if over {
		s.finishLocked(ErrEnded)
	}
	s.mu.Unlock()
	if over {
		s.hub.remove(s)
	}
}

// finish ends the stream: readers get io.EOF after the frames that are still in the ring.
func (s *Stream) finish(cause error) {
	s.mu.Lock()
	over := !s.ended
	if over {
		s.finishLocked(cause)
	}
	s.mu.Unlock()
	if over {
		s.hub.remove(s)
	}
}

// finishLocked ends the stream under its lock, so that no publisher comes between the decision and the end. The caller
// takes the stream out of the hub once it has let go of the lock: the hub's lock comes before the stream's.
func (s *Stream) finishLocked(cause error) {
	s.ended = true
	if s.pub != nil {
		s.pub.stop(cause)
		s.pub = nil
	}
	if s.hold != nil {
		s.hold.Stop()
	}
	close(s.done)
	s.wakeAll()
}

func (s *Stream) wakeAll() {
	for i, r := range s.wait {
		r.waiting = false
		r.signal()
		s.wait[i] = nil
	}
	s.wait = s.wait[:0]
}

// Live reports whether the stream has a publisher now.
func (s *Stream) Live() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.pub != nil
}

// Done is closed when the stream has ended for good.
func (s *Stream) Done() <-chan struct{} { return s.done }

// Epoch counts the stream's publishers in this process, from 1.
func (s *Stream) Epoch() uint64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.epoch
}

// Publisher tells who publishes, or did so last.
func (s *Stream) Publisher() Publisher {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.by
}

// Since is when the present publisher came.
func (s *Stream) Since() time.Time {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.since
}

// Tracks lists the tracks that the publisher announced; empty before it did.
func (s *Stream) Tracks() []*media.Track {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.tracks
}

// Track returns the track of a kind; nil when the stream has none.
func (s *Stream) Track(kind media.Kind) *media.Track {
	for _, t := range s.Tracks() {
		if t.Codec.Kind() == kind {
			return t
		}
	}
	return nil
}

// Facts is what is known of the source now.
func (s *Stream) Facts() media.Facts {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.facts
}

// FinishIdle ends the stream when it has had no reader for some time, and reports whether it did: a stream that was
// fetched for players goes away with the last of them.
func (s *Stream) FinishIdle(since time.Duration) bool {
	s.mu.Lock()
	over := !s.ended && s.readers == 0 && time.Since(s.idle) >= since
	if over {
		s.finishLocked(ErrIdle)
	}
	s.mu.Unlock()
	if over {
		s.hub.remove(s)
	}
	return over
}

// Kick ends the present publication with a cause; the stream is held for the hold time, as after a broken connection.
func (s *Stream) Kick(cause error) {
	s.mu.Lock()
	p := s.pub
	s.mu.Unlock()
	if p != nil {
		p.Kick(cause)
	}
}
