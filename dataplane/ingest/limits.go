package ingest

import (
	"net"
	"sync"
)

// gate counts connections and keeps them within the limits: in all, per address, and per address before publishing.
type gate struct {
	maxAll, maxPerAddress, maxPending int

	mu    sync.Mutex
	all   int
	peers map[string]*peerCount
}

type peerCount struct{ all, pending int }

func newGate(maxAll, maxPerAddress, maxPending int) *gate {
	return &gate{maxAll: maxAll, maxPerAddress: maxPerAddress, maxPending: maxPending, peers: map[string]*peerCount{}}
}

// enter counts a new connection that is not publishing yet; false when it has to go.
func (g *gate) enter(address string) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	p := g.peers[address]
	if p == nil {
		p = &peerCount{}
	}
	if g.all >= g.maxAll || p.all >= g.maxPerAddress || p.pending >= g.maxPending {
		return false
	}
	g.peers[address] = p
	g.all++
	p.all++
	p.pending++
	return true
}

// publishing takes a connection out of those that have yet to publish.
func (g *gate) publishing(address string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if p := g.peers[address]; p != nil {
		p.pending--
	}
}

// leave forgets a connection; pending reports whether it never published.
func (g *gate) leave(address string, pending bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	p := g.peers[address]
	if p == nil {
		return
	}
	g.all--
	p.all--
	if pending {
		p.pending--
	}
	if p.all == 0 {
		delete(g.peers, address)
	}
}

// addressOf returns the address without port by which connections are counted: IPv6 by its /64, which one host may own.
func addressOf(a net.Addr) string {
	tcp, ok := a.(*net.TCPAddr)
	if !ok {
		return a.String()
	}
	if v4 := tcp.IP.To4(); v4 != nil {
		return v4.String()
	}
	return tcp.IP.Mask(net.CIDRMask(64, 128)).String()
}
