// Package edge is standard play: RTMP, HTTP-FLV, WebSocket-FLV, HLS and low-latency HLS of the streams that a
// hub.Finder gives.
//
// The host that a player asks chooses the play domain, and the domain what is served (package door). FLV and RTMP
// readers of a stream share a feed, which makes each frame into a tag once; each has one goroutine that writes shared
// memory (viewer). HLS readers share segments (package hls).
package edge

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/go-logr/logr"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/millrace/millrace/dataplane/door"
	"github.com/millrace/millrace/dataplane/edge/hls"
	"github.com/millrace/millrace/dataplane/handover"
	"github.com/millrace/millrace/dataplane/hub"
	"github.com/millrace/millrace/internal/contract/plan"
)

// Options make an edge. Hub and Plan are needed; zero values take the defaults.
type Options struct {
	Hub     *hub.Hub
	Plan    *plan.Current
	Find    hub.Finder // of streams that players ask for; default: Hub
	Log     logr.Logger
	Metrics prometheus.Registerer // nil: no metrics

	// Door lets viewers in; several roles of a process share one. Default: a door of its own with Limits.
	Door   *door.Door
	Limits door.Limits

	// media that a slow reader may be behind, where a newer key frame is there to go on from; default 3 s
	MaxBacklog time.Duration
	// how long a player may not answer while something waits for it; default 10 s. One that answers and takes nothing has
	// six times as long
	StallTime  time.Duration
	FeedLinger time.Duration // how long a stream stays muxed after its last FLV or RTMP reader; default 5 s
	HLSLinger  time.Duration // how long after its last HLS request; default 1 min
}

func (o *Options) defaults() {
	if o.Find == nil {
		o.Find = o.Hub
	}
	o.MaxBacklog = or(o.MaxBacklog, 3*time.Second)
	o.StallTime = or(o.StallTime, 10*time.Second)
	o.FeedLinger = or(o.FeedLinger, 5*time.Second)
	o.HLSLinger = or(o.HLSLinger, time.Minute)
}

func or[T int | time.Duration](v, otherwise T) T {
	if v <= 0 {
		return otherwise
	}
	return v
}

// Edge serves viewers. It is made by New and safe for concurrent use.
type Edge struct {
	opt     Options
	log     logr.Logger
	metrics *metrics
	door    *door.Door
	ownDoor bool
	feeds   *feeds
	hls     *hls.Muxers

	compressors sync.Pool // of *gzip.Writer: one holds some 800 KiB

	mu      sync.Mutex
	viewers map[*viewer]struct{}
	closing bool
	running sync.WaitGroup

	cancel      context.CancelFunc
	unsubscribe func()
	sweeping    sync.WaitGroup
}

// New makes an edge; it serves what is given to ServeHTTP, ServeRTMP and PlayRTMP.
func New(opt Options) (*Edge, error) {
	if opt.Hub == nil || opt.Plan == nil {
		return nil, errors.New("making an edge: Hub and Plan are needed")
	}
	opt.defaults()
	ctx, cancel := context.WithCancel(context.Background())
	e := &Edge{
		opt: opt, log: opt.Log, door: opt.Door, ownDoor: opt.Door == nil, viewers: map[*viewer]struct{}{}, cancel: cancel,
		feeds: newFeeds(opt.MaxBacklog, opt.FeedLinger, opt.Log),
	}
	if e.ownDoor {
		e.door = door.New(door.Options{Hub: opt.Hub, Plan: opt.Plan, Find: opt.Find, Limits: opt.Limits})
	}
	e.hls = hls.NewMuxers(hls.Options{Linger: opt.HLSLinger, Log: opt.Log})
	var err error
	if e.metrics, err = newMetrics(opt.Metrics, e); err != nil {
		cancel()
		e.closeDoor()
		return nil, fmt.Errorf("registering the metrics of the edge: %w", err)
	}
	e.unsubscribe = opt.Plan.Subscribe(func(_, now *plan.Index) { e.enforce(now) })
	e.sweeping.Go(func() { e.sweep(ctx) })
	return e, nil
}

// enforce ends the viewers that lost their right with a new Plan, and only those. HLS viewers are asked with each
// request.
func (e *Edge) enforce(now *plan.Index) {
	for _, v := range e.all() {
		if err := now.MayKeepPlaying(v.pass.Right); err != nil {
			v.stopWith(err)
		}
	}
}

// sweep looks after what lingers, and measures.
func (e *Edge) sweep(ctx context.Context) {
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case now := <-tick.C:
			e.endStalled(now)
			e.feeds.sweep(now)
			e.hls.Sweep(now)
		}
	}
}

// endStalled ends the viewers whose connections take nothing.
func (e *Edge) endStalled(now time.Time) {
	for _, v := range e.all() {
		if v.sink.stalled(now, e.opt.StallTime) {
			v.stopWith(errStalled)
		}
	}
}

func (e *Edge) all() []*viewer {
	e.mu.Lock()
	defer e.mu.Unlock()
	out := make([]*viewer, 0, len(e.viewers))
	for v := range e.viewers {
		out = append(out, v)
	}
	return out
}

// enter counts a viewer in; false when the edge closes.
func (e *Edge) enter(v *viewer) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.closing {
		return false
	}
	e.viewers[v] = struct{}{}
	e.running.Add(1)
	return true
}

// leave forgets a viewer.
func (e *Edge) leave(v *viewer, cause error) {
	e.mu.Lock()
	delete(e.viewers, v)
	e.mu.Unlock()
	e.feeds.close(v.feed)
	v.pass.Leave()
	e.metrics.leaves.WithLabelValues(v.kind, reasonFor(cause)).Inc()
	e.log.V(1).
		Info("Viewer left", "Protocol", v.kind, "Stream", v.stream, "Domain", v.pass.Right.Host, "Reason", reasonFor(cause),
			"Seconds", int(time.Since(v.since).Seconds()), "Skipped", v.skipped.Load())
	e.running.Done()
}

// Viewers counts the viewers: connections, and HLS players that asked lately.
func (e *Edge) Viewers() int { return e.door.Viewers(plan.Standard) }

// Drain takes no more viewers, tells those that are there that the server shuts down, one after the other, spread over
// a time, and waits for them until the context ends. HLS players come back elsewhere by themselves.
func (e *Edge) Drain(ctx context.Context, over time.Duration) error {
	e.mu.Lock()
	e.closing = true
	e.mu.Unlock()
	all := e.all()
	handover.Spread(ctx, len(all), over, func(i int) { all[i].stopWith(errShutdown) })
	done := make(chan struct{})
	go func() {
		e.running.Wait()
		close(done)
	}()
	select {
	case <-done:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("waiting for viewers to go: %w", ctx.Err())
	}
}

// Close ends everything at once.
func (e *Edge) Close() {
	e.unsubscribe()
	ctx, cancel := context.WithTimeout(context.Background(), 3*endTimeout)
	defer cancel()
	_ = e.Drain(ctx, 0) // who does not hear it within this time is cut by the end of the process
	e.cancel()
	e.sweeping.Wait()
	e.feeds.stop()
	e.hls.Close()
	e.closeDoor()
}

func (e *Edge) closeDoor() {
	if e.ownDoor {
		e.door.Close()
	}
}

// ViewerInfo is a viewer as /state shows it.
type ViewerInfo struct {
	Protocol  string    `json:"protocol"`
	Domain    string    `json:"domain"`
	Stream    string    `json:"stream"`
	Remote    string    `json:"remote"`
	Since     time.Time `json:"since"`
	BacklogMs int64     `json:"backlogMs"` // media between what it has taken last and the live edge
	Skipped   uint64    `json:"skipped"`   // tags that it missed because it was too slow
	Bytes     uint64    `json:"bytes"`
}

// List shows the FLV and RTMP viewers.
func (e *Edge) List() []ViewerInfo {
	out := []ViewerInfo{}
	for _, v := range e.all() {
		out = append(
			out,
			ViewerInfo{Protocol: v.kind, Domain: v.pass.Right.Host, Stream: v.stream, Remote: v.remote.String(), Since: v.since,
				BacklogMs: v.backlog().Milliseconds(), Skipped: v.skipped.Load(), Bytes: v.sent.Load()},
		)
	}
	return out
}

// Appeared says that Options.Find may find a stream now that it did not find before.
func (e *Edge) Appeared(key hub.Key) { e.door.Appeared(key) }
