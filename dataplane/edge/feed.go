package edge

import (
	"context"
	"errors"
	"io"
	"sync"
	"sync/atomic"
	"time"

	"github.com/go-logr/logr"

	"github.com/millrace/millrace/dataplane/flv"
	"github.com/millrace/millrace/dataplane/hub"
)

// feedBytes bounds the tags of a feed, as the hub's ring bounds the frames.
const feedBytes = 32 << 20

// feed makes the tags of one stream, once for all its FLV and RTMP readers. Its goroutine puts them into a window that
// readers look at without a lock.
type feed struct {
	stream *hub.Stream
	window atomic.Pointer[window]
	stop   context.CancelFunc
	done   chan struct{}

	readers int       // guarded by feeds
	idle    time.Time // since when there is no reader; guarded by feeds
}

// window is the feed's tags at one moment: immutable but for more, which is closed when a newer one is there.
type window struct {
	tags  []*flv.Tag // shares its memory with the windows before and after
	first uint64     // number of the first tag
	keys  []uint64   // numbers of the key tags
	bytes int
	edge  time.Duration // DTS of the newest tag
	ended bool
	more  chan struct{}
}

func (w *window) next() uint64              { return w.first + uint64(len(w.tags)) }
func (w *window) at(number uint64) *flv.Tag { return w.tags[number-w.first] }

// newestKey is where a reader begins.
func (w *window) newestKey() (uint64, bool) {
	if len(w.keys) == 0 {
		return 0, false
	}
	return w.keys[len(w.keys)-1], true
}

// grow makes the next window: with more tags, without what is older than keep and lies before a key tag.
func (w *window) grow(tags []*flv.Tag, keep time.Duration) *window {
	n := &window{
		tags:  append(w.tags, tags...),
		first: w.first,
		keys:  w.keys,
		bytes: w.bytes,
		edge:  w.edge,
		more:  make(chan struct{}),
	}
	for i, t := range tags {
		if t.Key {
			n.keys = append(n.keys, w.next()+uint64(i))
		}
		n.bytes += len(t.Chunk)
		n.edge = max(n.edge, t.DTS)
	}
	for len(n.keys) > 1 && (n.bytes > feedBytes || n.edge-n.at(n.keys[1]).DTS >= keep) {
		n.dropTo(n.keys[1])
	}
	for n.bytes > feedBytes && len(n.tags) > 1 { // one GOP that is larger than the bound
		n.dropTo(n.first + 1)
	}
	return n
}

func (w *window) dropTo(number uint64) {
	for w.first < number {
		w.bytes -= len(w.tags[0].Chunk)
		w.tags = w.tags[1:]
		w.first++
	}
	for len(w.keys) > 0 && w.keys[0] < number {
		w.keys = w.keys[1:]
	}
}

// run muxes until the stream or the context ends.
func (f *feed) run(ctx context.Context, keep time.Duration, log logr.Logger) {
	defer close(f.done)
	r := f.stream.NewReader()
	defer r.Close()
	m := flv.NewMuxer(f.stream.Tracks(), f.stream.Facts())
	var tags []*flv.Tag
	for {
		frame, err := r.Next(ctx)
		if err != nil {
			if errors.Is(err, io.EOF) || ctx.Err() != nil {
				f.publish(func(w *window) *window {
					n := *w
					n.ended, n.more = true, make(chan struct{})
					return &n
				})
				return
			}
			continue
		}
		if tags, err = m.Add(tags[:0], frame); err != nil {
			log.V(1).Info("A frame cannot be put into FLV", "Stream", f.stream.Key.String(), "Reason", err.Error())
			continue
		}
		f.publish(func(w *window) *window { return w.grow(tags, keep) })
	}
}

func (f *feed) publish(next func(*window) *window) {
	old := f.window.Load()
	f.window.Store(next(old))
	close(old.more)
}

// feeds are the feeds of an edge: one for each stream that has FLV or RTMP readers, kept for a while after the last.
type feeds struct {
	keep, linger time.Duration
	log          logr.Logger

	mu  sync.Mutex
	all map[*hub.Stream]*feed
}

func newFeeds(keep, linger time.Duration, log logr.Logger) *feeds {
	return &feeds{keep: keep, linger: linger, log: log, all: map[*hub.Stream]*feed{}}
}

// open returns the feed of a stream and counts a reader; close is its counterpart.
func (fs *feeds) open(s *hub.Stream) *feed {
	fs.mu.Lock()
	defer fs.mu.Unlock()
	f := fs.all[s]
	if f == nil {
		ctx, cancel := context.WithCancel(context.Background())
		f = &feed{stream: s, stop: cancel, done: make(chan struct{})}
		f.window.Store(&window{more: make(chan struct{})})
		fs.all[s] = f
		go f.run(ctx, fs.keep, fs.log)
	}
	f.readers++
	return f
}

func (fs *feeds) close(f *feed) {
	fs.mu.Lock()
	defer fs.mu.Unlock()
	if f.readers--; f.readers == 0 {
		f.idle = time.Now()
	}
}

// sweep ends the feeds that have had no reader for a while, and those of streams that have ended.
func (fs *feeds) sweep(now time.Time) {
	fs.mu.Lock()
	defer fs.mu.Unlock()
	for s, f := range fs.all {
		if f.readers == 0 && (now.Sub(f.idle) >= fs.linger || f.window.Load().ended) {
			f.stop()
			delete(fs.all, s)
		}
	}
}

func (fs *feeds) count() int {
	fs.mu.Lock()
	defer fs.mu.Unlock()
	return len(fs.all)
}

// stop ends all feeds.
func (fs *feeds) stop() {
	fs.mu.Lock()
	defer fs.mu.Unlock()
	for s, f := range fs.all {
		f.stop()
		<-f.done
		delete(fs.all, s)
	}
}
