package edge

import (
	"errors"
	"io"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"github.com/millrace/millrace/dataplane/door"
	"github.com/millrace/millrace/dataplane/flv"
	"github.com/millrace/millrace/internal/contract/plan"
)

// sink is a reader's connection in one of the forms of a tag.
type sink interface {
	// begin sends what stands in front of a stream; again, when parameters changed in what the reader missed.
	begin(p *flv.Preamble, again bool) error
	// write sends tags; it waits until the connection has taken them.
	write(tags []*flv.Tag) error
	// finish ends the connection in its protocol's way; an error of the connection is of no interest any more.
	finish(cause error)
	// abort makes a waiting write return.
	abort()
	// stalled reports whether the connection has taken nothing for the limit although something waits for it.
	stalled(now time.Time, limit time.Duration) bool
}

// The causes for which a viewer is ended from here.
var (
	errEnded    = errors.New("the stream has ended")
	errShutdown = errors.New("the server is shutting down; connect again")
)

// What a viewer that is behind is sent at once: so much that catching up costs few calls, and so little that a slow one
// is soon asked again whether to go on or to be moved. It may be a single tag that is larger.
const (
	batchTags  = 32
	batchBytes = 32 << 10
)

// viewer is one FLV or RTMP reader of a stream. Its goroutine is pump; the rest is safe for concurrent use.
type viewer struct {
	edge   *Edge
	pass   *door.Pass // given back with the end
	stream string
	remote netip.AddrPort
	kind   string // flv, ws-flv, rtmp
	since  time.Time
	feed   *feed
	sink   sink

	next     uint64
	joined   bool
	preamble *flv.Preamble

	sent, skipped atomic.Uint64
	at            atomic.Int64 // DTS of the newest tag that its connection has taken

	ending sync.Once
	end    chan struct{}
	cause  error
}

// stopWith ends the viewer from outside; the first cause counts.
func (v *viewer) stopWith(cause error) {
	v.ending.Do(func() {
		v.cause = cause
		close(v.end)
		v.sink.abort()
	})
}

// pump sends tags until the stream, the connection or the viewer's right ends, and gives the cause.
func (v *viewer) pump() error {
	for {
		w := v.feed.window.Load()
		if err := v.place(w); err != nil {
			return err
		}
		if !v.joined || v.next >= w.next() {
			if w.ended {
				return errEnded
			}
			select {
			case <-w.more:
			case <-v.end:
				return v.cause
			}
			continue
		}
		select {
		case <-v.end:
			return v.cause
		default:
		}
		from := v.next - w.first
		batch, size := batchOf(w.tags[from:])
		if err := v.sink.write(batch); err != nil {
			return v.broken(err)
		}
		v.next += uint64(len(batch))
		v.at.Store(int64(batch[len(batch)-1].DTS))
		v.sent.Add(uint64(size))
		v.pass.Sent(uint64(size))
	}
}

// batchOf takes the first tags, and gives their size in FLV.
func batchOf(tags []*flv.Tag) (batch []*flv.Tag, size int) {
	for i, t := range tags[:min(len(tags), batchTags)] {
		if i > 0 && size+len(t.FLV) > batchBytes {
			return tags[:i], size
		}
		size += len(t.FLV)
	}
	return tags[:min(len(tags), batchTags)], size
}

// backlog is the media between what the connection has taken and the live edge.
func (v *viewer) backlog() time.Duration {
	return max(v.feed.window.Load().edge-time.Duration(v.at.Load()), 0)
}

// place puts the viewer at a key tag when it begins, and when it has fallen behind: out of the window, or further than
// the bound with a newer key tag to go on from.
func (v *viewer) place(w *window) error {
	key, ok := w.newestKey()
	behind := v.joined &&
		(v.next < w.first || v.next < w.next() && w.edge-w.at(v.next).DTS > v.edge.opt.MaxBacklog && key > v.next)
	if v.joined && !behind {
		return nil
	}
	if !ok || key < v.next {
		if behind { // it fell out of a GOP that is larger than the feed: the next key tag is not there yet
			v.joined = false
			v.count(w.next() - v.next)
			v.next = w.next()
		}
		return nil
	}
	if behind {
		v.count(key - v.next)
	}
	v.next, v.joined = key, true
	v.at.Store(int64(w.at(key).DTS))
	if p := w.at(key).Preamble; p != v.preamble {
		again := v.preamble != nil
		v.preamble = p
		if err := v.sink.begin(p, again); err != nil {
			return v.broken(err)
		}
	}
	return nil
}

// count notes that the viewer missed tags.
func (v *viewer) count(tags uint64) {
	v.skipped.Add(tags)
	v.edge.metrics.skips.Inc()
	v.edge.metrics.skipped.Add(float64(tags))
}

// broken returns the cause for a failed write: the one that was set from outside, if any.
func (v *viewer) broken(err error) error {
	select {
	case <-v.end:
		return v.cause
	default:
	}
	return err
}

// run sends the stream until it or the viewer ends, writes the end of the protocol, and removes the viewer.
func (v *viewer) run() {
	cause := v.pump()
	v.sink.finish(cause)
	v.edge.leave(v, cause)
}

// reasonFor words a cause for the metric: a few fixed words.
func reasonFor(cause error) string {
	switch {
	case cause == nil, errors.Is(cause, errEnded):
		return "ended"
	case errors.Is(cause, errShutdown):
		return "shutdown"
	case errors.Is(cause, errStalled):
		return "stalled"
	case errors.Is(cause, io.EOF), errors.Is(cause, errLeft):
		return "left"
	}
	if _, ok := errors.AsType[*plan.RightError](cause); ok {
		return "right_lost"
	}
	return "broken"
}
