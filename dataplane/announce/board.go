package announce

import (
	"reflect"
	"sync"
)

// Board holds what a pod announces. Writers never wait for listeners: a listener is told which streams changed, and
// reads how they are when it gets to it. So what waits for a slow listener is bounded by what there is. It is safe for
// concurrent use.
type Board struct {
	hello Hello

	mu        sync.Mutex
	streams   map[ID]Stream
	status    Status
	listeners map[*listener]struct{}
}

// listener is one connection's view of what it has not been told yet.
type listener struct {
	changed map[ID]change
	status  bool
	wake    chan struct{}
}

// change is a stream to tell about: with a state, or gone.
type change struct {
	stream Stream
	gone   bool
}

// NewBoard makes a board with no streams.
func NewBoard(hello Hello) *Board {
	return &Board{hello: hello, streams: map[ID]Stream{}, listeners: map[*listener]struct{}{}}
}

// SetStreams replaces all streams; what did not change is not told again.
func (b *Board) SetStreams(all []Stream) {
	b.mu.Lock()
	defer b.mu.Unlock()
	seen := make(map[ID]struct{}, len(all))
	for _, s := range all {
		seen[s.ID] = struct{}{}
		if b.streams[s.ID] != s {
			b.streams[s.ID] = s
			b.tell(s.ID, change{stream: s})
		}
	}
	for id, s := range b.streams {
		if _, ok := seen[id]; !ok {
			delete(b.streams, id)
			b.tell(id, change{stream: s, gone: true})
		}
	}
}

func (b *Board) tell(id ID, c change) {
	for l := range b.listeners {
		l.changed[id] = c
		l.signal()
	}
}

// SetStatus tells how the pod is.
func (b *Board) SetStatus(s Status) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if reflect.DeepEqual(b.status, s) {
		return
	}
	b.status = s
	for l := range b.listeners {
		l.status = true
		l.signal()
	}
}

// Streams lists what is announced.
func (b *Board) Streams() map[ID]Stream {
	b.mu.Lock()
	defer b.mu.Unlock()
	out := make(map[ID]Stream, len(b.streams))
	for id, s := range b.streams {
		out[id] = s
	}
	return out
}

// Listeners counts the connections.
func (b *Board) Listeners() int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return len(b.listeners)
}

// join adds a listener that is to be told everything; false when there are too many.
func (b *Board) join(most int) (*listener, bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if len(b.listeners) >= most {
		return nil, false
	}
	l := &listener{changed: make(map[ID]change, len(b.streams)), status: true, wake: make(chan struct{}, 1)}
	for id, s := range b.streams {
		l.changed[id] = change{stream: s}
	}
	b.listeners[l] = struct{}{}
	return l, true
}

func (b *Board) leave(l *listener) {
	b.mu.Lock()
	defer b.mu.Unlock()
	delete(b.listeners, l)
}

// take returns what a listener has to be told now. Status is held back unless it is wanted.
func (b *Board) take(l *listener, wantStatus bool) (changed map[ID]change, status *Status) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if len(l.changed) > 0 {
		changed, l.changed = l.changed, map[ID]change{}
	}
	if l.status && wantStatus {
		s := b.status
		l.status, status = false, &s
	}
	return changed, status
}

func (l *listener) signal() {
	select {
	case l.wake <- struct{}{}:
	default:
	}
}
