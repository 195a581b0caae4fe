package edge

import (
	"net/netip"
	"sync"
	"time"
)

// hearer is an HLS player, told apart by what it has in common over its requests. Players behind one address with one
// program are told apart by nothing, and count once.
type hearer struct {
	host, stream string
	remote       netip.Addr
	agent        string
}

const (
	hearerTime = 20 * time.Second // after its last playlist
	hearerMost = 65536            // more are not counted, nor refused
)

// hearers counts the HLS players that asked for a playlist lately.
type hearers struct {
	mu     sync.Mutex
	seen   map[hearer]time.Time
	byHost map[string]int
}

func newHearers() *hearers { return &hearers{seen: map[hearer]time.Time{}, byHost: map[string]int{}} }

// known reports whether a player is counted already, and keeps it.
func (h *hearers) known(one hearer, now time.Time) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	if _, ok := h.seen[one]; !ok {
		return false
	}
	h.seen[one] = now
	return true
}

func (h *hearers) add(one hearer, now time.Time) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if _, ok := h.seen[one]; ok || len(h.seen) >= hearerMost {
		return
	}
	h.seen[one] = now
	h.byHost[one.host]++
}

func (h *hearers) sweep(now time.Time) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for one, at := range h.seen {
		if now.Sub(at) > hearerTime {
			delete(h.seen, one)
			if h.byHost[one.host]--; h.byHost[one.host] == 0 {
				delete(h.byHost, one.host)
			}
		}
	}
}

func (h *hearers) count() int {
	h.mu.Lock()
	defer h.mu.Unlock()
	return len(h.seen)
}

func (h *hearers) of(host string) int {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.byHost[host]
}

// each calls for every player; f must not ask the hearers anything.
func (h *hearers) each(f func(hearer)) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for one := range h.seen {
		f(one)
	}
}
