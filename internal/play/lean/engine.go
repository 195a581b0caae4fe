// Package lean is a WebRTC viewer that costs little: own ICE checks, DTLS by pion, and no goroutine, timer or copy per
// packet. All viewers' sockets are read by one goroutine, in batches. It is what loads a server from the machine the
// server runs on.
package lean

import (
	"fmt"
	"sync"
	"time"

	"github.com/pion/dtls/v3"
)

// Decrypt says which packets are decrypted. Sequence numbers, frame boundaries and capture times stand outside of the
// encryption, so that loss, frames and latency are exact with each of them.
type Decrypt string

// What can be decrypted.
const (
	// DecryptSample is one packet of 16, all of them until the first key frame is complete, and all while a packet is
	// missing.
	DecryptSample Decrypt = "sample"
	DecryptAll    Decrypt = "all"
	// DecryptNone does not see key frames: the first complete frame counts as the first picture.
	DecryptNone Decrypt = "none"
)

// tickEvery is how often a viewer looks whether it owes the server feedback.
const tickEvery = 10 * time.Millisecond

// Options of an Engine.
type Options struct {
	Decrypt Decrypt
	TCP     bool // ICE-TCP only
	// let the kernel join datagrams (UDP_GRO); it makes the server's side cheaper on loopback as well
	GRO        bool
	Profiles   []dtls.SRTPProtectionProfile // in order of preference
	ReadBuffer int                          // bytes of receive buffer per socket
}

// Engine runs lean viewers.
type Engine struct {
	options Options
	cert    *certificate
	reactor *reactor

	mu    sync.Mutex
	peers map[*peer]struct{}
	stop  chan struct{}
	done  chan struct{}
}

// NewEngine starts an engine. Close ends it.
func NewEngine(o Options) (*Engine, error) {
	switch o.Decrypt {
	case DecryptSample, DecryptAll, DecryptNone:
	default:
		return nil, fmt.Errorf("decrypt %q: want sample, all or none", o.Decrypt)
	}
	cert, err := newCertificate()
	if err != nil {
		return nil, err
	}
	r, err := newReactor(o)
	if err != nil {
		return nil, err
	}
	e := &Engine{
		options: o, cert: cert, reactor: r, peers: map[*peer]struct{}{}, stop: make(chan struct{}), done: make(chan struct{}),
	}
	go e.tick()
	return e, nil
}

// Close ends the engine, after all calls of Watch have returned.
func (e *Engine) Close() {
	close(e.stop)
	<-e.done
	e.reactor.close()
}

// Reads is how many system calls have read datagrams so far.
func (e *Engine) Reads() uint64 { return e.reactor.reads() }

// tick lets every viewer send feedback and consent checks.
func (e *Engine) tick() {
	defer close(e.done)
	ticker := time.NewTicker(tickEvery)
	defer ticker.Stop()
	var round []*peer
	for {
		select {
		case <-e.stop:
			return
		case now := <-ticker.C:
			e.mu.Lock()
			round = round[:0]
			for p := range e.peers {
				round = append(round, p)
			}
			e.mu.Unlock()
			for _, p := range round {
				p.tick(now)
			}
		}
	}
}

func (e *Engine) add(p *peer) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.peers[p] = struct{}{}
}

func (e *Engine) remove(p *peer) {
	e.mu.Lock()
	defer e.mu.Unlock()
	delete(e.peers, p)
}
