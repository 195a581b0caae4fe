package secure

import (
	"container/list"
	"context"
	"errors"
	"fmt"
	"net/netip"
	"sync"
	"time"
)

// The places of a relay's gate.
const (
	HandshakesPerCore = 8                     // at once; others wait, so that workers get their turn at the cores
	HandshakeHold     = 20 * time.Millisecond // for which one counts at most: some times what it computes
)

// Gate bounds how many handshakes compute at once. A handshake has a place from a record of the viewer until DTLS has
// dealt with it, so one that is begun and left has none. The ranges of addresses that wait take turns, and one never
// has more than half of the places: whoever floods keeps others waiting for a moment alone.
type Gate struct {
	places, share int
	hold          time.Duration

	mu      sync.Mutex
	taken   int
	waiting int
	lines   map[netip.Prefix]*line // of ranges that have places, or wait for them
	turns   list.List              // of *line: those that wait, in turn
}

// line is what a range of addresses has of a gate.
type line struct {
	taken int
	queue list.List     // of chan struct{}, each closed when it is given a place
	turn  *list.Element // nil: it does not wait
}

// NewGate makes a gate with so many places; a handshake has one for hold at most.
func NewGate(places int, hold time.Duration) *Gate {
	return &Gate{places: places, share: (places + 1) / 2, hold: hold, lines: map[netip.Prefix]*line{}}
}

// ErrGone says that nobody waits for the handshake any more.
var ErrGone = errors.New("the session ended before its handshake began")

// Enter waits for a place for a viewer of a range of addresses; gone ends the waiting. The place is free again after
// leave, or after the hold.
func (g *Gate) Enter(ctx context.Context, from netip.Prefix, gone <-chan struct{}) (leave func(), err error) {
	place, own := g.queue(from)
	select {
	case <-place:
	case <-ctx.Done():
		g.abandon(from, own)
		return nil, fmt.Errorf("waiting for a place among %d handshakes: %w", g.places, ctx.Err())
	case <-gone:
		g.abandon(from, own)
		return nil, ErrGone
	}
	free := sync.OnceFunc(func() { g.free(from) })
	timer := time.AfterFunc(g.hold, free)
	return func() {
		timer.Stop()
		free()
	}, nil
}

// queue waits in the line of a range. The channel is closed when there is a place.
func (g *Gate) queue(from netip.Prefix) (<-chan struct{}, *list.Element) {
	g.mu.Lock()
	defer g.mu.Unlock()
	l := g.lines[from]
	if l == nil {
		l = &line{}
		g.lines[from] = l
	}
	if l.turn == nil {
		l.turn = g.turns.PushBack(l)
	}
	place := make(chan struct{})
	own := l.queue.PushBack(place)
	g.waiting++
	g.admit()
	return place, own
}

// admit hands out the free places: to each range in turn, and in a range to the one who waits longest.
func (g *Gate) admit() {
	for e := g.turns.Front(); e != nil && g.taken < g.places; {
		l, next := e.Value.(*line), e.Next() //nolint:forcetypeassert // nothing else is there
		if l.taken >= g.share {
			e = next
			continue
		}
		close(l.queue.Remove(l.queue.Front()).(chan struct{})) //nolint:forcetypeassert // nothing else is there
		l.taken++
		g.taken++
		g.waiting--
		g.turns.MoveToBack(e)
		g.stopWaiting(l)
		e = g.turns.Front()
	}
}

// free takes a place back.
func (g *Gate) free(from netip.Prefix) {
	g.mu.Lock()
	defer g.mu.Unlock()
	l := g.lines[from]
	l.taken--
	g.taken--
	g.drop(from, l)
	g.admit()
}

// abandon leaves the line of a range, or the place that it has been given meanwhile.
func (g *Gate) abandon(from netip.Prefix, own *list.Element) {
	g.mu.Lock()
	defer g.mu.Unlock()
	l := g.lines[from]
	select {
	case <-own.Value.(chan struct{}): //nolint:forcetypeassert // nothing else is there
		l.taken--
		g.taken--
	default:
		l.queue.Remove(own)
		g.waiting--
	}
	g.drop(from, l)
	g.admit()
}

// drop forgets a range that has nothing.
func (g *Gate) drop(from netip.Prefix, l *line) {
	g.stopWaiting(l)
	if l.taken == 0 && l.turn == nil {
		delete(g.lines, from)
	}
}

// stopWaiting takes a range that does not wait out of the turns.
func (g *Gate) stopWaiting(l *line) {
	if l.queue.Len() == 0 && l.turn != nil {
		g.turns.Remove(l.turn)
		l.turn = nil
	}
}

// Taken returns how many handshakes have a place.
func (g *Gate) Taken() int {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.taken
}

// TakenBy returns how many handshakes of a range of addresses have a place.
func (g *Gate) TakenBy(from netip.Prefix) int {
	g.mu.Lock()
	defer g.mu.Unlock()
	if l := g.lines[from]; l != nil {
		return l.taken
	}
	return 0
}

// Waiting returns how many handshakes wait for a place.
func (g *Gate) Waiting() int {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.waiting
}
