package hub

import (
	"sync"
	"time"

	"github.com/millrace/millrace/dataplane/media"
)

// Publication is a publisher's hold on a stream. One goroutine writes; the other methods are safe for concurrent use.
type Publication struct {
	stream *Stream
	epoch  uint64

	done  chan struct{}
	once  sync.Once
	cause error

	// Owned by the writing goroutine.
	started bool          // a key frame came
	offset  time.Duration // from the publisher's timeline to the stream's
}

// Stream is what the publication writes to.
func (p *Publication) Stream() *Stream { return p.stream }

// Done is closed when the publication is over: ended by its publisher, replaced, or kicked.
func (p *Publication) Done() <-chan struct{} { return p.done }

// Cause tells why the publication is over; it may be called after Done.
func (p *Publication) Cause() error { return p.cause }

func (p *Publication) stop(cause error) {
	p.once.Do(func() {
		p.cause = cause
		close(p.done)
	})
}

// SetTracks announces the tracks. It may be called again when they change.
func (p *Publication) SetTracks(tracks []*media.Track) {
	s := p.stream
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.pub == p {
		s.tracks = tracks
	}
}

// SetFacts updates what is known of the source.
func (p *Publication) SetFacts(f media.Facts) {
	s := p.stream
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.pub == p {
		s.facts = f
	}
}

// Write appends a frame to the stream and takes ownership of it. Frames before the publisher's first key frame are
// dropped. The first publisher's timeline starts at zero; a later one's is shifted so that it goes on where the stream
// stands. An error means that the publication is over.
func (p *Publication) Write(f *media.Frame) error {
	select {
	case <-p.done:
		return p.cause
	default:
	}
	if !p.started && !f.Key {
		return nil
	}
	now := time.Now()
	s := p.stream
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.pub != p {
		return ErrEnded
	}
	if !p.started {
		p.started = true
		p.offset = s.resumeAt(now, f.Ingest) - f.DTS
	}
	f.DTS += p.offset
	f.PTS += p.offset
	f.Epoch = p.epoch
	if f.DTS >= s.lastDTS {
		s.lastDTS, s.lastIngest = f.DTS, f.Ingest
	}
	s.lastWall = now
	s.ring.push(f)
	s.wakeAll()
	return nil
}

// resumeAt is the DTS of a publisher's first frame: zero for the first publisher's, else the last DTS plus the time
// that passed since. A pulled stream begins with frames from before it was asked for: time is counted at the ingest
// where both frames know it, so that the stream's edge stays where it was.
func (s *Stream) resumeAt(now, ingest time.Time) time.Duration {
	if s.lastWall.IsZero() {
		return 0
	}
	passed := now.Sub(s.lastWall)
	if !ingest.IsZero() && !s.lastIngest.IsZero() {
		passed = min(passed, ingest.Sub(s.lastIngest))
	}
	return s.lastDTS + max(passed, 10*time.Millisecond)
}

// End ends the publication and the stream: the publisher said that it is over.
func (p *Publication) End() {
	p.stop(ErrEnded)
	p.stream.release(p, false)
}

// Abandon ends the publication after a broken connection; the stream is held for a new publisher.
func (p *Publication) Abandon() {
	p.stop(ErrEnded)
	p.stream.release(p, true)
}

// Kick ends the publication from outside; the stream is held as after Abandon.
func (p *Publication) Kick(cause error) {
	p.stop(cause)
	p.stream.release(p, true)
}
