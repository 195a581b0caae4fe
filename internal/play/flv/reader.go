package flv

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"time"
)

// slowBuffer is the receive buffer of a slow reader; the kernel makes of it the least that it has.
const slowBuffer = 2048

// settleTime after its first picture, a reader's tags count for the latency: a server sends the past in a burst before.
const settleTime = time.Second

// The ends of a reader that are no failures, as they are shown.
var (
	errEnded    = errors.New("ended by the server")
	errDeadline = errors.New("ended from this side")
)

// Reader is one viewer. Its fields are guarded by the crowd's ledger.
type Reader struct {
	crowd *Crowd
	rate  int // bits per second; 0: as fast as it comes
	group *group

	asked    time.Time
	answered time.Duration // after asked; 0: not yet
	picture  time.Duration
	settled  time.Time // from when on latency counts
	bytes    uint64
	lastAt   time.Time // arrival of the last video tag
	gap      time.Duration
	places   [2]*place
	sessions int // connections, of a slow reader, which joins again
	err      error
	over     bool
}

// watch reads until the stream or the context ends.
func (r *Reader) watch(ctx context.Context) error {
	began := time.Now()
	r.crowd.ledger.mu.Lock()
	r.asked = began
	r.sessions++
	for _, p := range r.places {
		p.begun = false
	}
	r.crowd.ledger.mu.Unlock()
	dialing, cancel := context.WithTimeout(ctx, answerTime)
	defer cancel()
	conn, err := r.crowd.target.dial(dialing, r.rate > 0)
	if err != nil {
		return err
	}
	defer conn.Close()
	stop := context.AfterFunc(ctx, func() { _ = conn.SetDeadline(time.Unix(1, 0)) })
	defer stop()
	body, err := r.crowd.target.ask(conn)
	if err != nil {
		return err
	}
	if err := conn.SetDeadline(time.Time{}); err != nil {
		return fmt.Errorf("reading: %w", err)
	}
	r.crowd.ledger.mu.Lock()
	r.answered = time.Since(began)
	r.crowd.ledger.mu.Unlock()
	return r.read(ctx, body)
}

func (r *Reader) read(ctx context.Context, body io.Reader) error {
	p := newParser(r.take)
	size := 8192
	if r.rate > 0 {
		size = max(r.rate/8/10, 16) // ten reads a second
	}
	b := make([]byte, size)
	for {
		if ctx.Err() != nil {
			return errDeadline
		}
		n, err := body.Read(b)
		if fault := p.feed(b[:n]); fault != nil {
			return fmt.Errorf("the stream is damaged: %w", fault)
		}
		switch {
		case err == nil:
		case errors.Is(err, io.EOF) && p.between():
			return errEnded
		case errors.Is(err, os.ErrDeadlineExceeded) && ctx.Err() != nil:
			return errDeadline
		default:
			return fmt.Errorf("reading: %w", err)
		}
		if r.rate > 0 && n > 0 {
			wait(ctx, time.Duration(n)*8*time.Second/time.Duration(r.rate))
		}
	}
}

// take notes a tag.
func (r *Reader) take(p *parser) {
	t, now := p.tag, time.Now()
	l := &r.crowd.ledger
	l.mu.Lock()
	defer l.mu.Unlock()
	r.bytes += uint64(t.size) + tagHeader + tagTrailer
	if !t.media {
		return
	}
	kind := 0
	if t.typ == typeAudio {
		kind = 1
	}
	l.kinds[kind].note(r.places[kind], entry{t.at, t.size, t.sum})
	if r.picture == 0 && (t.key || kind == 1 && p.sound) {
		r.picture = now.Sub(r.asked)
		r.settled = now.Add(settleTime)
	}
	if r.picture == 0 || now.Before(r.settled) {
		return
	}
	late := l.late(t.at, now)
	r.group.latency.Add(late)
	if kind == 0 {
		if !r.lastAt.IsZero() {
			r.gap = max(r.gap, now.Sub(r.lastAt))
		}
		r.lastAt = now
	}
}

func wait(ctx context.Context, d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
	case <-t.C:
	}
}
