package fanout

import (
	"net"
	"runtime"
)

// Engine spreads viewers over workers, one per core.
type Engine struct {
	workers []*Worker
	sockets []*Socket
	highest Rung
}

// EngineOptions make an engine. Zero values take the defaults.
type EngineOptions struct {
	Workers int  // default: GOMAXPROCS
	Highest Rung // the highest rung that sockets may use; default RungSegments
}

// NewEngine starts the workers.
func NewEngine(opt EngineOptions) *Engine {
	if opt.Workers <= 0 {
		opt.Workers = runtime.GOMAXPROCS(0)
	}
	e := &Engine{highest: opt.Highest}
	for range opt.Workers {
		w := newWorker()
		e.workers = append(e.workers, w)
		go w.run()
	}
	return e
}

// AddSocket registers a media socket. All sockets are added before the first viewer.
func (e *Engine) AddSocket(conn *net.UDPConn) (*Socket, error) {
	s, err := newSocket(conn, len(e.sockets), e.highest)
	if err != nil {
		return nil, err
	}
	e.sockets = append(e.sockets, s)
	return s, nil
}

// Add starts to send a feed to a viewer.
func (e *Engine) Add(v *Viewer, f *Feed) {
	w := e.workers[0]
	for _, other := range e.workers[1:] {
		if other.load.Load() < w.load.Load() {
			w = other
		}
	}
	w.load.Add(1)
	v.feed, v.worker = f, w
	w.post(event{kind: eventAdd, viewer: v})
}

// Remove stops to send to a viewer; when it returns, nothing of the viewer is used any more.
func (e *Engine) Remove(v *Viewer) {
	done := make(chan struct{})
	v.worker.load.Add(-1)
	v.worker.post(event{kind: eventRemove, viewer: v, done: done})
	select {
	case <-done:
	case <-v.worker.done:
	}
}

// NACK asks for packets again: pid and those behind it that the bits of blp name (RFC 4585, 6.2.1).
func (v *Viewer) NACK(ssrc uint32, pid, blp uint16) {
	v.worker.post(event{kind: eventNACK, viewer: v, ssrc: ssrc, pid: pid, blp: blp})
}

// KeyFrame says that the viewer's decoder cannot go on (PLI; RFC 4585, 6.3.1). The viewer starts again at the cached
// key frame; the source is not asked.
func (v *Viewer) KeyFrame() { v.worker.post(event{kind: eventKeyFrame, viewer: v}) }

// Move sends the viewer's packets to another address from now on; a viewer over TCP stays where it is.
func (v *Viewer) Move(s *Socket, d *Dest) {
	v.worker.post(event{kind: eventMove, viewer: v, socket: s, dest: d})
}

// Close stops the workers.
func (e *Engine) Close() {
	for _, w := range e.workers {
		close(w.quit)
	}
	for _, w := range e.workers {
		<-w.done
	}
}

// Counts is what an engine has done so far.
type Counts struct {
	Packets, Bytes, Calls, Failed, Fallbacks uint64
	LeftOut                                  [causes]uint64 // frames that viewers did not get, by Cause
}

// Counts sums up over all workers.
func (e *Engine) Counts() Counts {
	var c Counts
	for _, w := range e.workers {
		c.Packets += w.counts.packets.Load()
		c.Bytes += w.counts.bytes.Load()
		c.Calls += w.counts.calls.Load()
		c.Failed += w.counts.failed.Load()
		c.Fallbacks += w.counts.fallbacks.Load()
		for cause := range c.LeftOut {
			c.LeftOut[cause] += w.counts.leftOut[cause].Load()
		}
	}
	return c
}

// Sockets lists the media sockets.
func (e *Engine) Sockets() []*Socket { return e.sockets }
