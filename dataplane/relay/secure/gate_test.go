package secure

import (
	"context"
	"errors"
	"net/netip"
	"testing"
	"time"

	"github.com/millrace/millrace/internal/testkit"
)

func ranges() (a, b, c netip.Prefix) {
	return netip.MustParsePrefix("192.0.2.1/32"), netip.MustParsePrefix("192.0.2.2/32"),
		netip.MustParsePrefix("2001:db8::/64")
}

// enter takes a place that is free.
func enter(t *testing.T, g *Gate, from netip.Prefix) (leave func()) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), testkit.Patience())
	defer cancel()
	leave, err := g.Enter(ctx, from, nil)
	if err != nil {
		t.Fatal(err)
	}
	return leave
}

// full checks that there is no place for a range.
func full(t *testing.T, g *Gate, from netip.Prefix) {
	t.Helper()
	over, cancel := context.WithCancel(t.Context())
	cancel()
	for range 20 { // were there a place, one of them would get it
		if _, err := g.Enter(over, from, nil); !errors.Is(err, context.Canceled) {
			t.Fatal("a handshake too many has a place:", err)
		}
	}
}

func TestGateBoundsHandshakes(t *testing.T) {
	g := NewGate(4, time.Hour)
	a, b, c := ranges()
	first, second := enter(t, g, a), enter(t, g, a)
	full(t, g, a) // half of the places are the most that a range has
	third, fourth := enter(t, g, b), enter(t, g, b)
	full(t, g, c)
	first()
	first() // twice is once
	fifth := enter(t, g, c)
	if g.Taken() != 4 || g.TakenBy(a) != 1 || g.TakenBy(c) != 1 {
		t.Fatalf("%d places are taken, %d and %d of them by a and c", g.Taken(), g.TakenBy(a), g.TakenBy(c))
	}
	second()
	third()
	fourth()
	fifth()
	if g.Taken() != 0 || g.Waiting() != 0 || len(g.lines) != 0 || g.turns.Len() != 0 {
		t.Fatalf("left behind: %d places, %d who wait, %d ranges, %d turns", g.Taken(), g.Waiting(), len(g.lines),
			g.turns.Len())
	}
}

// Of a crowd of one address and one viewer of another, who comes last, the viewer has the second place that gets free.
func TestGateServesRangesInTurn(t *testing.T) {
	g := NewGate(1, time.Hour)
	crowd, viewer, _ := ranges()
	leave := enter(t, g, crowd)
	got := make(chan netip.Prefix)
	next := make(chan struct{})
	wait := func(from netip.Prefix) {
		before := g.Waiting()
		go func() {
			leave, err := g.Enter(t.Context(), from, nil)
			if err != nil {
				return
			}
			got <- from
			<-next
			leave()
		}()
		testkit.Eventually(t, "one more who waits", func() bool { return g.Waiting() > before })
	}
	for range 50 {
		wait(crowd)
	}
	wait(viewer)
	leave()
	<-got
	next <- struct{}{}
	if second := <-got; second != viewer {
		t.Error("the crowd had two places before the viewer had one")
	}
}

// Nobody leaves, and yet there is a place again after the hold; leaving afterwards frees nothing more.
func TestGateHoldsForAWhile(t *testing.T) {
	g := NewGate(1, time.Millisecond)
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	for range 5 {
		leave, err := g.Enter(ctx, netip.Prefix{}, nil)
		if err != nil {
			t.Fatal(err)
		}
		defer leave()
	}
}

func TestGateForgetsWhoLeft(t *testing.T) {
	g, gone := NewGate(0, time.Hour), make(chan struct{})
	close(gone)
	if _, err := g.Enter(t.Context(), netip.Prefix{}, gone); !errors.Is(err, ErrGone) {
		t.Fatal(err)
	}
}
