package secure

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"
)

// The places of a relay's gate.
const (
	HandshakesPerCore = 32          // at once; a crowd's others wait, so that workers get their turn at the cores
	HandshakeHold     = time.Second // for which one counts
)

// Gate bounds how many handshakes run at once.
type Gate struct {
	places chan struct{}
	// for which a handshake counts: a player that answers slowly keeps nobody out, for it costs no CPU
	hold    time.Duration
	waiting atomic.Int64
}

// NewGate makes a gate with so many places; each handshake holds one for hold at most.
func NewGate(places int, hold time.Duration) *Gate {
	return &Gate{places: make(chan struct{}, places), hold: hold}
}

// ErrGone says that nobody waits for the handshake any more.
var ErrGone = errors.New("the session ended before its handshake began")

// Enter waits for a place; gone ends the waiting. The place is free again after leave, or after the hold.
func (g *Gate) Enter(ctx context.Context, gone <-chan struct{}) (leave func(), err error) {
	g.waiting.Add(1)
	defer g.waiting.Add(-1)
	select {
	case g.places <- struct{}{}:
	case <-ctx.Done():
		return nil, fmt.Errorf("waiting for a place among %d handshakes: %w", cap(g.places), ctx.Err())
	case <-gone:
		return nil, ErrGone
	}
	free := sync.OnceFunc(func() { <-g.places })
	timer := time.AfterFunc(g.hold, free)
	return func() {
		timer.Stop()
		free()
	}, nil
}

// Taken returns how many handshakes have a place.
func (g *Gate) Taken() int { return len(g.places) }

// Waiting returns how many handshakes wait for a place.
func (g *Gate) Waiting() int { return int(g.waiting.Load()) }
