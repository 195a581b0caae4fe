package flv

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/millrace/millrace/internal/play/meter"
)

// rejoinAfter is how long a slow reader waits before it joins again after the server has ended it.
const rejoinAfter = time.Second

// Crowd is the readers of one stream in this process.
type Crowd struct {
	target *Target
	ledger ledger

	ctx     context.Context //nolint:containedctx // the life of the readers
	stop    context.CancelFunc
	running sync.WaitGroup
}

// NewCrowd makes a crowd without readers. The epoch is the wall clock at time stamp 0, for streams of which it is
// known.
func NewCrowd(ctx context.Context, t *Target, epoch time.Time) *Crowd {
	c := &Crowd{target: t}
	c.ledger.epoch = epoch
	c.ctx, c.stop = context.WithCancel(ctx)
	return c
}

// Part is some readers of a crowd, which are looked at together.
type Part struct {
	crowd   *Crowd
	group   group
	readers []*Reader
	stop    context.CancelFunc
	running sync.WaitGroup
}

// Add lets n readers join, spread over a time. With a rate, in bits per second, they read no faster, and join again
// when the server ends them; patience is how long a stream that is not there (404) is asked for again.
func (c *Crowd) Add(n, rate int, ramp, patience time.Duration) *Part {
	p := &Part{crowd: c}
	ctx, stop := context.WithCancel(c.ctx)
	p.stop = stop
	until := time.Now().Add(patience)
	c.ledger.mu.Lock()
	for range n {
		p.readers = append(
			p.readers,
			&Reader{
				crowd:  c,
				rate:   rate,
				group:  &p.group,
				places: [2]*place{c.ledger.kinds[0].enter(), c.ledger.kinds[1].enter()},
			},
		)
	}
	c.ledger.mu.Unlock()
	for i, r := range p.readers {
		p.running.Add(1)
		c.running.Go(func() {
			defer p.running.Done()
			wait(ctx, ramp*time.Duration(i)/time.Duration(n))
			r.live(ctx, until)
		})
	}
	return p
}

// live watches, and again where that is due.
func (r *Reader) live(ctx context.Context, until time.Time) {
	for {
		err := r.watch(ctx)
		answer, refused := errors.AsType[*AnswerError](err)
		waits := refused && answer.Status == 404 && time.Now().Before(until)
		if ctx.Err() != nil || !waits && (r.rate == 0 || refused) {
			r.crowd.ledger.mu.Lock()
			r.over = true
			if r.err = err; ctx.Err() != nil && (r.answered > 0 || r.err == nil) {
				r.err = errDeadline
			}
			r.crowd.ledger.mu.Unlock()
			return
		}
		wait(ctx, rejoinAfter)
	}
}

// Leave ends the readers of the part.
func (p *Part) Leave() {
	p.stop()
	p.running.Wait()
}

// Wait waits until all readers of the part have ended.
func (p *Part) Wait() { p.running.Wait() }

// Close ends all readers.
func (c *Crowd) Close() {
	c.stop()
	c.running.Wait()
}

// Stats is what one reader saw. Times are in milliseconds.
type Stats struct {
	Error        string  `json:"error,omitempty"`
	Ended        string  `json:"ended,omitempty"`
	AnswerMs     float64 `json:"answerMs,omitempty"`
	FirstFrameMs float64 `json:"firstFrameMs,omitempty"`
	VideoTags    uint64  `json:"videoTags"`
	AudioTags    uint64  `json:"audioTags"`
	Bytes        uint64  `json:"bytes"`
	Lost         uint64  `json:"lost"`
	Differing    uint64  `json:"differing"`
	Backwards    uint64  `json:"backwards"`
	LongestGapMs float64 `json:"longestGapMs"`
	Sessions     int     `json:"sessions"`
}

// Playing reports whether the reader had a picture.
func (s *Stats) Playing() bool { return s.FirstFrameMs > 0 }

// Look returns the figures of all readers of the part at this moment, and how late their tags came.
func (p *Part) Look() ([]Stats, *meter.Histogram) {
	p.crowd.ledger.mu.Lock()
	defer p.crowd.ledger.mu.Unlock()
	out := make([]Stats, 0, len(p.readers))
	for _, r := range p.readers {
		s := Stats{
			AnswerMs: ms(
				r.answered,
			), FirstFrameMs: ms(r.picture), VideoTags: r.places[0].tags, AudioTags: r.places[1].tags, Bytes: r.bytes,
			LongestGapMs: ms(r.gap), Sessions: r.sessions,
		}
		for _, at := range r.places {
			s.Lost += at.lost
			s.Differing += at.differing
			s.Backwards += at.backwards
		}
		switch {
		case !r.over:
		case errors.Is(r.err, errEnded), errors.Is(r.err, errDeadline):
			s.Ended = r.err.Error()
		default:
			s.Error = r.err.Error()
		}
		out = append(out, s)
	}
	latency := p.group.latency
	return out, &latency
}

func ms(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }
