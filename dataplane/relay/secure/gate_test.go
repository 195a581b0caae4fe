package secure

import (
	"context"
	"errors"
	"testing"
	"time"
)

func TestGateBoundsHandshakes(t *testing.T) {
	g := NewGate(2, time.Hour)
	first, err := g.Enter(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	second, err := g.Enter(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	over, cancel := context.WithCancel(t.Context())
	cancel()
	for range 20 { // were there a place, one of them would get it
		if _, err := g.Enter(over, nil); !errors.Is(err, context.Canceled) {
			t.Fatal("a third handshake has a place:", err)
		}
	}
	first()
	first() // twice is once
	third, err := g.Enter(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	if n := len(g.places); n != 2 {
		t.Fatalf("%d places are taken, want 2", n)
	}
	second()
	third()
	if n := len(g.places); n != 0 {
		t.Fatalf("%d places are still taken", n)
	}
}

// Nobody leaves, and yet there is a place again after the hold; leaving afterwards frees nothing more.
func TestGateHoldsForAWhile(t *testing.T) {
	g := NewGate(1, time.Millisecond)
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	for range 5 {
		leave, err := g.Enter(ctx, nil)
		if err != nil {
			t.Fatal(err)
		}
		defer leave()
	}
}

func TestGateForgetsWhoLeft(t *testing.T) {
	g, gone := NewGate(0, time.Hour), make(chan struct{})
	close(gone)
	if _, err := g.Enter(t.Context(), gone); !errors.Is(err, ErrGone) {
		t.Fatal(err)
	}
}
