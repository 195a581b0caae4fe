// Package hub holds the live streams of a process: for each one a ring of immutable frames and any number of readers.
// The hub knows no protocol. Control (who publishes) is in Hub and Publication, data (frames) in Stream and Reader.
package hub

import (
	"errors"
	"slices"
	"strings"
	"sync"
	"time"
)

// The reasons for which the hub refuses or ends a publication.
var (
	// ErrBusy: the stream is live and the newcomer did not ask to replace its publisher.
	ErrBusy = errors.New("the stream is being published already")
	// ErrReplaced: a newer publisher took the stream over.
	ErrReplaced = errors.New("a newer publisher replaced this one")
	// ErrEnded: the publication was ended or abandoned before.
	ErrEnded = errors.New("the publication has ended")
	// ErrIdle: the stream had no reader for some time.
	ErrIdle = errors.New("nobody reads the stream")
	// ErrClosed: the hub is shut down.
	ErrClosed = errors.New("the hub is closed")
)

// Key identifies a stream in the process. Space is the hostname of the main play domain that the stream belongs to.
type Key struct{ Space, App, Name string }

// String returns "space/app/name".
func (k Key) String() string { return k.Space + "/" + k.App + "/" + k.Name }

// Publisher tells who publishes.
type Publisher struct {
	Remote  string // address of the encoder, host:port
	Domain  string // push domain
	Replace bool   // take a live stream over from its present publisher
	// give way to any other: what it publishes was made here, and a stream of that name that is published counts for more
	Yields bool
}

// Options bound a hub. Zero values take the defaults.
type Options struct {
	MaxBytes int           // bytes that a stream's ring keeps: media, and 256 for each frame; default 32 MiB
	MaxAge   time.Duration // media time that a ring keeps, whole GOPs; default 12 s
	Hold     time.Duration // how long a stream outlives a broken publisher; default 10 s
}

// Hub is the set of a process' streams. It is safe for concurrent use.
type Hub struct {
	opt Options

	mu      sync.Mutex
	streams map[Key]*Stream
	closed  bool
	watch   map[*watcher]struct{}
}

type watcher struct{ f func(*Stream, bool) }

// New makes an empty hub.
func New(opt Options) *Hub {
	if opt.MaxBytes <= 0 {
		opt.MaxBytes = 32 << 20
	}
	if opt.MaxAge <= 0 {
		opt.MaxAge = 12 * time.Second
	}
	if opt.Hold <= 0 {
		opt.Hold = 10 * time.Second
	}
	return &Hub{opt: opt, streams: map[Key]*Stream{}, watch: map[*watcher]struct{}{}}
}

// Publish makes the caller the publisher of a stream. A held stream is continued: its readers go on with the new
// publisher's frames from their first key frame. A live one is taken over when by.Replace is set or its publisher
// yields; else ErrBusy is returned.
func (h *Hub) Publish(key Key, by Publisher) (*Publication, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.closed {
		return nil, ErrClosed
	}
	s := h.streams[key]
	if s == nil {
		s = newStream(h, key)
		h.streams[key] = s
	}
	p, err := s.adopt(by)
	if errors.Is(err, ErrEnded) { // it is over, and about to leave the table
		s = newStream(h, key)
		h.streams[key] = s
		p, err = s.adopt(by)
	}
	if err != nil {
		return nil, err
	}
	h.notify(s, true)
	return p, nil
}

// Lookup finds a stream that is live or held; nil when there is none.
func (h *Hub) Lookup(key Key) *Stream {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.streams[key]
}

// Streams lists the live and held streams, sorted by key.
func (h *Hub) Streams() []*Stream {
	h.mu.Lock()
	out := make([]*Stream, 0, len(h.streams))
	for _, s := range h.streams {
		out = append(out, s)
	}
	h.mu.Unlock()
	slices.SortFunc(out, func(a, b *Stream) int { return strings.Compare(a.Key.String(), b.Key.String()) })
	return out
}

// Watch calls f with true when a stream gets a publisher and with false when the stream is gone. f runs under the hub's
// lock: it must be quick and must not call the hub. The result ends the watch.
func (h *Hub) Watch(f func(s *Stream, live bool)) (stop func()) {
	w := &watcher{f}
	h.mu.Lock()
	h.watch[w] = struct{}{}
	h.mu.Unlock()
	return func() {
		h.mu.Lock()
		delete(h.watch, w)
		h.mu.Unlock()
	}
}

// Close ends all streams; their readers get io.EOF, and nothing can be published any more.
func (h *Hub) Close() {
	h.mu.Lock()
	h.closed = true
	h.mu.Unlock()
	for _, s := range h.Streams() {
		s.finish(ErrClosed)
	}
}

func (h *Hub) remove(s *Stream) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.streams[s.Key] == s {
		delete(h.streams, s.Key)
	}
	h.notify(s, false)
}

func (h *Hub) notify(s *Stream, live bool) {
	for w := range h.watch {
		w.f(s, live)
	}
}
