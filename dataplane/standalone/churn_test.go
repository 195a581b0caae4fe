package standalone

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"runtime"
	"sync"
	"testing"
	"time"

	"github.com/millrace/millrace/internal/play"
	"github.com/millrace/millrace/internal/play/join"
	"github.com/millrace/millrace/internal/play/lean"
	"github.com/millrace/millrace/internal/testkit"
	"github.com/millrace/millrace/internal/testsrc"
)

// churnTime is how long viewers come and go: MILLRACE_CHURN, such as 10m (which needs -timeout 20m), or 15 s.
func churnTime(t *testing.T) time.Duration {
	t.Helper()
	text := os.Getenv("MILLRACE_CHURN")
	if text == "" {
		return 15 * time.Second
	}
	d, err := time.ParseDuration(text)
	if err != nil {
		t.Fatalf("MILLRACE_CHURN: %v", err)
	}
	return d
}

// Viewers that come and go, 20 a second, leave nothing behind: goroutines return to the base line, and the heap to
// within 10 % (or 1 MiB, what a heap of this size may differ by from one collection to the next).
func TestChurnLeavesNothing(t *testing.T) {
	const rate, slack = 20, 1 << 20
	p := start(t, quickstart, nil)
	p.publish("push.example.com", testsrc.Options{BitrateKbps: 300})
	churn := func(d time.Duration) int {
		var wg sync.WaitGroup
		tick := time.NewTicker(time.Second / rate)
		defer tick.Stop()
		n := 0
		for end := time.Now().Add(d); time.Now().Before(end); n++ {
			<-tick.C
			wg.Go(func() { p.visit(t.Context(), time.Duration(rand.IntN(1500))*time.Millisecond) })
		}
		wg.Wait()
		return n
	}
	churn(3 * time.Second) // pools and caches fill
	baseGoroutines, baseHeap := p.settle(t)
	n := churn(churnTime(t))
	testkit.Eventually(
		t,
		"goroutines back at the base line",
		func() bool { return runtime.NumGoroutine() <= baseGoroutines+2 },
	)
	// What is kept for some seconds after a viewer, such as addresses and promises, is let go of; a leak never is.
	most := baseHeap + max(baseHeap/10, slack)
	var heap uint64
	testkit.Eventually(t, fmt.Sprintf("a heap of at most %d KiB", most>>10), func() bool {
		_, heap = p.settle(t)
		t.Logf("%d visits: goroutines %d -> %d, heap %d -> %d KiB",
			n, baseGoroutines, runtime.NumGoroutine(), baseHeap>>10, heap>>10)
		return heap <= most
	})
}

// visit watches for a moment; some viewers leave before they are connected.
func (p *process) visit(ctx context.Context, d time.Duration) {
	ctx, cancel := context.WithTimeout(ctx, d)
	defer cancel()
	_, _ = play.Run(ctx, play.Options{ // cut off at any moment: its outcome says nothing
		URL: "artc://rts.example.com/live/stream", Join: join.Options{Connect: p.at.HTTP.String()}, Viewers: 1, Lean: true,
		Decrypt:    lean.DecryptSample,
		ReadBuffer: 1 << 20,
	})
}

// settle waits until no session is left and gives the numbers of goroutines and heap bytes.
func (p *process) settle(t *testing.T) (goroutines int, heap uint64) {
	t.Helper()
	testkit.Eventually(t, "the end of all sessions", func() bool { return len(p.state().Sessions) == 0 })
	goroutines = 1 << 30
	for range 5 { // what is on its way out may need a moment
		var m runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&m)
		goroutines = min(goroutines, runtime.NumGoroutine())
		if heap == 0 || m.HeapAlloc < heap {
			heap = m.HeapAlloc
		}
		time.Sleep(300 * time.Millisecond)
	}
	return goroutines, heap
}
