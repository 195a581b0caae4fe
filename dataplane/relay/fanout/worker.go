package fanout

import (
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/pion/rtcp"

	"github.com/millrace/millrace/dataplane/media"
)

// Worker serves a share of an engine's viewers, frame by frame, in one goroutine.
type Worker struct {
	wakeup chan struct{}
	quit   chan struct{}
	done   chan struct{}
	load   atomic.Int64 // viewers

	mu    sync.Mutex
	inbox []event

	// Owned by the worker's goroutine.
	work    []event
	groups  []*group
	batches []*Batch
	scratch []byte
	sealed  []byte      // the last sender report
	header  rtcp.Header // of it
	lastSR  time.Time
	opened  *TCPPath // between open and close of a packet over TCP

	counts workerCounts
}

type workerCounts struct {
	packets, bytes, calls, failed, fallbacks atomic.Uint64
	leftOut                                  [causes]atomic.Uint64 // frames
}

// group is the viewers of one feed on a worker.
type group struct {
	feed    *Feed
	viewers []*Viewer
	seen    uint64 // the feed's head when the group was walked last
	paced   bool   // some viewer waits for its pace
}

type eventKind uint8

const (
	eventAdd eventKind = iota
	eventRemove
	eventNACK
	eventKeyFrame
	eventMove
	eventThin
	eventFull
	eventSkip
)

// event is what other goroutines ask of a worker.
type event struct {
	kind     eventKind
	viewer   *Viewer
	ssrc     uint32
	pid, blp uint16
	cause    Cause
	socket   *Socket
	dest     *Dest
	done     chan struct{}
}

const (
	paceTick   = 2 * time.Millisecond
	reportTick = 100 * time.Millisecond
	maxInbox   = 1 << 16 // events; NACKs beyond are dropped
)

func newWorker() *Worker {
	return &Worker{
		wakeup:  make(chan struct{}, 1),
		quit:    make(chan struct{}),
		done:    make(chan struct{}),
		scratch: make([]byte, 0, 2048),
	}
}

// signal wakes the worker; a signal that finds one pending adds nothing.
func (w *Worker) signal() {
	select {
	case w.wakeup <- struct{}{}:
	default:
	}
}

func (w *Worker) post(e event) {
	w.mu.Lock()
	if len(w.inbox) < maxInbox || e.kind == eventAdd || e.kind == eventRemove {
		w.inbox = append(w.inbox, e)
	}
	w.mu.Unlock()
	w.signal()
}

func (w *Worker) run() {
	defer close(w.done)
	timer := time.NewTimer(reportTick)
	defer timer.Stop()
	for {
		select {
		case <-w.quit:
			return
		case <-w.wakeup:
		case <-timer.C:
		}
		now := time.Now()
		w.drain(now)
		paced := w.walk(now)
		w.reports(now)
		w.flush()
		if paced {
			timer.Reset(paceTick)
		} else {
			timer.Reset(reportTick)
		}
	}
}

// drain does what others asked for.
func (w *Worker) drain(now time.Time) {
	w.mu.Lock()
	w.work, w.inbox = w.inbox, w.work[:0]
	w.mu.Unlock()
	for i := range w.work {
		w.handle(&w.work[i], now)
		w.work[i] = event{}
	}
}

func (w *Worker) handle(e *event, now time.Time) {
	defer w.survive(e.viewer)
	v := e.viewer
	switch e.kind {
	case eventAdd:
		w.add(v)
	case eventRemove:
		w.remove(v)
		close(e.done)
	case eventNACK:
		w.nack(v, e.ssrc, e.pid, e.blp, now)
	case eventKeyFrame:
		v.Counts.KeyFrameRequests.Add(1)
		if !v.ended && v.mayRejoin(now) {
			v.join(now)
			w.groupOf(v.feed).paced = true
		}
	case eventMove:
		if v.cfg.TCP == nil {
			v.cfg.Socket, v.cfg.Dest = e.socket, e.dest
		}
	case eventThin:
		v.thin, v.thinFor = true, e.cause
	case eventFull:
		v.thin = false
	case eventSkip:
		v.skip(e.cause)
	}
}

// survive ends the viewer that a panic came up with, and only it.
func (w *Worker) survive(v *Viewer) {
	p := recover()
	if p == nil {
		return
	}
	if w.opened != nil {
		w.opened.mu.Unlock()
		w.opened = nil
	}
	v.end(caught("sending", p))
}

func (w *Worker) groupOf(f *Feed) *group {
	for _, g := range w.groups {
		if g.feed == f {
			return g
		}
	}
	g := &group{feed: f}
	w.groups = append(w.groups, g)
	f.attach(w)
	return g
}

func (w *Worker) add(v *Viewer) {
	g := w.groupOf(v.feed)
	g.viewers = append(g.viewers, v)
	g.paced = true
}

func (w *Worker) remove(v *Viewer) {
	v.ended = true
	for gi, g := range w.groups {
		if g.feed != v.feed {
			continue
		}
		for i := range g.viewers {
			if g.viewers[i] == v {
				last := len(g.viewers) - 1
				g.viewers[i], g.viewers[last] = g.viewers[last], nil
				g.viewers = g.viewers[:last]
				break
			}
		}
		if len(g.viewers) == 0 {
			g.feed.detach(w)
			w.groups = slices.Delete(w.groups, gi, gi+1) // clears the slot behind: a feed is tens of megabytes
		}
		return
	}
}

// serve is deliver for which a panic ends the viewer alone.
func (w *Worker) serve(v *Viewer, now time.Time) (paced bool) {
	defer w.survive(v)
	return w.deliver(v, now)
}

// walk returns every viewer what is new; it reports whether some are being paced.
func (w *Worker) walk(now time.Time) bool {
	anyPaced := false
	for _, g := range w.groups {
		head := g.feed.head.Load()
		if head == g.seen && !g.paced && !g.feed.Ended() {
			continue
		}
		g.seen, g.paced = head, false
		for _, v := range g.viewers {
			if w.serve(v, now) {
				g.paced = true
			}
		}
		anyPaced = anyPaced || g.paced
	}
	return anyPaced
}

func (w *Worker) reports(now time.Time) {
	if now.Sub(w.lastSR) < reportTick {
		return
	}
	w.lastSR = now
	for _, g := range w.groups {
		for _, v := range g.viewers {
			if !v.ended && v.joined && !now.Before(v.nextSR) && v.sends() {
				v.nextSR = now.Add(reportEvery)
				w.report(v, now)
			}
		}
	}
}

// sends reports whether the viewer has been sent anything yet.
func (v *Viewer) sends() bool {
	for _, kind := range []media.Kind{media.Video, media.Audio} {
		if l := v.lane(kind); l != nil && l.started {
			return true
		}
	}
	return false
}

func (w *Worker) batch(s *Socket) *Batch {
	for len(w.batches) <= s.index {
		w.batches = append(w.batches, nil)
	}
	if w.batches[s.index] == nil {
		w.batches[s.index] = newBatch(s)
	}
	return w.batches[s.index]
}

// flush sends what all batches collected and publishes the counts.
func (w *Worker) flush() {
	for _, b := range w.batches {
		if b == nil {
			continue
		}
		b.flush()
		w.counts.packets.Add(b.Sent.Packets)
		w.counts.bytes.Add(b.Sent.Bytes)
		w.counts.calls.Add(b.Sent.Calls)
		w.counts.failed.Add(b.Sent.Failed)
		w.counts.fallbacks.Add(b.Sent.Fallbacks)
		b.Sent = BatchCounts{}
	}
}
