package relay

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"
)

const (
	handshakesPerCore = 32          // at once; a crowd's others wait, so that workers get their turn at the cores
	handshakeHold     = time.Second // for which one counts
)

// gate bounds how many handshakes run at once.
type gate struct {
	places chan struct{}
	// for which a handshake counts: a player that answers slowly keeps nobody out, for it costs no CPU
	hold    time.Duration
	waiting atomic.Int64
}

func newGate(places int, hold time.Duration) *gate {
	return &gate{places: make(chan struct{}, places), hold: hold}
}

var errGone = errors.New("the session ended before its handshake began")

// enter waits for a place; gone ends the waiting. The place is free again after leave, or after the hold.
func (g *gate) enter(ctx context.Context, gone <-chan struct{}) (leave func(), err error) {
	g.waiting.Add(1)
	defer g.waiting.Add(-1)
	select {
	case g.places <- struct{}{}:
	case <-ctx.Done():
		return nil, fmt.Errorf("waiting for a place among %d handshakes: %w", cap(g.places), ctx.Err())
	case <-gone:
		return nil, errGone
	}
	free := sync.OnceFunc(func() { <-g.places })
	timer := time.AfterFunc(g.hold, free)
	return func() {
		timer.Stop()
		free()
	}, nil
}
