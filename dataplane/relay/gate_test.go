package relay

import (
	"context"
	"errors"
	"testing"
	"time"
)

func TestGateBoundsHandshakes(t *testing.T) {
	g := newGate(2)
	first, err := g.enter(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := g.enter(t.Context(), nil); err != nil {
		t.Fatal(err)
	}
	full, cancel := context.WithCancel(t.Context())
	cancel()
	if len(g.places) == cap(g.places) { // unless the places were freed meanwhile, on a very slow machine
		if _, err := g.enter(full, nil); err != nil && !errors.Is(err, context.Canceled) {
			t.Fatal("not refused for the context:", err)
		}
	}
	first()
	first() // twice is once
	leave, err := g.enter(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer leave()

	// Nobody leaves, and yet there is a place again after a while.
	if _, err := g.enter(t.Context(), nil); err != nil {
		t.Fatal(err)
	}
	deadline := time.After(30 * time.Second)
	for len(g.places) > 0 {
		select {
		case <-deadline:
			t.Fatalf("%d places are still taken", len(g.places))
		case <-time.After(10 * time.Millisecond):
		}
	}
}

func TestGateForgetsWhoLeft(t *testing.T) {
	g, gone := newGate(0), make(chan struct{})
	close(gone)
	if _, err := g.enter(t.Context(), gone); !errors.Is(err, errGone) {
		t.Fatal(err)
	}
}
