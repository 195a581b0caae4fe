package edge

import (
	"net/netip"
	"sync"
	"time"
)

// hlsViewer identifies a viewer of HLS, which has no connection of its own: by what all its requests have in common.
// Viewers behind one address with the same program count once.
type hlsViewer struct {
	host, stream string
	remote       netip.Addr
	agent        string
}

const (
	hlsViewerTime = 20 * time.Second // after its last playlist
	maxHLSViewers = 65536            // more are neither counted nor refused
)

// hlsViewers counts the viewers of HLS that asked for a playlist within hlsViewerTime.
type hlsViewers struct {
	mu     sync.Mutex
	seen   map[hlsViewer]time.Time
	byHost map[string]int
}

func newHLSViewers() *hlsViewers {
	return &hlsViewers{seen: map[hlsViewer]time.Time{}, byHost: map[string]int{}}
}

// known reports whether a viewer is counted already, and if so counts it from now on for another hlsViewerTime.
func (h *hlsViewers) known(one hlsViewer, now time.Time) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	if _, ok := h.seen[one]; !ok {
		return false
	}
	h.seen[one] = now
	return true
}

func (h *hlsViewers) add(one hlsViewer, now time.Time) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if _, ok := h.seen[one]; ok || len(h.seen) >= maxHLSViewers {
		return
	}
	h.seen[one] = now
	h.byHost[one.host]++
}

func (h *hlsViewers) sweep(now time.Time) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for one, at := range h.seen {
		if now.Sub(at) > hlsViewerTime {
			delete(h.seen, one)
			if h.byHost[one.host]--; h.byHost[one.host] == 0 {
				delete(h.byHost, one.host)
			}
		}
	}
}

func (h *hlsViewers) count() int {
	h.mu.Lock()
	defer h.mu.Unlock()
	return len(h.seen)
}

func (h *hlsViewers) of(host string) int {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.byHost[host]
}

// each calls f for every viewer, with h locked: f must not call h.
func (h *hlsViewers) each(f func(hlsViewer)) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for one := range h.seen {
		f(one)
	}
}
