package keypair_test

import (
	"errors"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/millrace/millrace/internal/contract/keypair"
)

// A content that takes long is parsed once, whoever asks, and nobody waits for it but those who ask for it.
func TestAContentIsParsedOnceAndHoldsNobodyElseUp(t *testing.T) {
	var parses atomic.Int32
	begun, release := make(chan struct{}), make(chan struct{})
	c := keypair.NewCache(func(chain, _ []byte) (string, error) {
		parses.Add(1)
		if string(chain) == "slow" {
			close(begun)
			<-release
		}
		return string(chain), nil
	})
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			if v, err := c.Get([]byte("slow"), nil); err != nil || v != "slow" {
				t.Errorf("got %q, %v", v, err)
			}
		})
	}
	<-begun
	if v, err := c.Get([]byte("quick"), nil); err != nil || v != "quick" {
		t.Errorf("beside a slow one: %q, %v", v, err)
	}
	close(release)
	wg.Wait()
	if n := parses.Load(); n != 2 {
		t.Errorf("two contents were parsed %d times", n)
	}
}

func TestSweepForgetsWhatWasNotUsed(t *testing.T) {
	parses := 0
	failed := errors.New("failed")
	c := keypair.NewCache(func([]byte, []byte) (int, error) { parses++; return parses, failed })
	get := func(want int) {
		t.Helper()
		if n, err := c.Get([]byte("a"), []byte("b")); n != want || !errors.Is(err, failed) {
			t.Errorf("got %d, %v; want %d and the error of the first use", n, err, want)
		}
	}
	get(1)
	c.Sweep()
	get(1)
	if n, _ := c.Get([]byte("ab"), nil); n != 2 {
		t.Error("chain and key run into each other")
	}
	c.Sweep()
	c.Sweep()
	get(3)
}
