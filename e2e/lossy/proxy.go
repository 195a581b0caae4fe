// Package lossy is a bad network for tests and measurements: a UDP proxy on loopback that stands between a server's
// media port and many players, drops packets by chance and delivers the others late, and an HTTP front that puts the
// proxy into the server's answers.
package lossy

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"
)

// Link is what the network does to packets, in both directions alike. The zero value does nothing.
type Link struct {
	Loss  float64       // share of the packets that are lost, 0 to 1
	Delay time.Duration // one way
}

// Direction is a way through the proxy.
type Direction int

// The directions.
const (
	ToServer Direction = iota
	ToPlayer
)

// Options make a Proxy.
type Options struct {
	Seed uint64 // of the chance; the n-th player's packets meet the same fate in each run with the same seed
	Link Link
	// Lost is called for each packet that was dropped and may be nil. It must not keep the packet, and is called by many
	// goroutines.
	Lost func(way Direction, packet []byte)
}

// Counts are packets since the start.
type Counts struct {
	Passed, Lost uint64
}

const (
	maxPlayers = 512
	maxPacket  = 2048
	maxQueue   = 4096 // packets under way per player and direction; more are lost, as in a full router
	readBuffer = 4 << 20
)

// Proxy passes packets between players and one server. It is safe for concurrent use.
type Proxy struct {
	options Options
	front   *net.UDPConn

	link   atomic.Pointer[Link]
	server atomic.Pointer[net.UDPAddr]
	counts [2]struct{ passed, lost atomic.Uint64 }

	mu     sync.Mutex
	flows  map[netip.AddrPort]*flow
	closed bool
	work   sync.WaitGroup
}

// flow is one player's way through the proxy: a socket of its own towards the server, and packets under way in both
// directions.
type flow struct {
	proxy  *Proxy
	player netip.AddrPort
	back   *net.UDPConn
	queues [2]chan parcel
	chance [2]*rand.Rand // each used by the goroutine alone that reads the direction
	done   chan struct{}
}

// parcel is a packet under way.
type parcel struct {
	data []byte
	due  time.Time
}

// New opens a proxy on loopback. The server is the one that the first rewritten answer names.
func New(o Options) (*Proxy, error) {
	front, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		return nil, fmt.Errorf("opening the proxy's port: %w", err)
	}
	_ = front.SetReadBuffer(readBuffer)
	_ = front.SetWriteBuffer(readBuffer)
	p := &Proxy{options: o, front: front, flows: map[netip.AddrPort]*flow{}}
	p.Set(o.Link)
	p.work.Go(p.readPlayers)
	return p, nil
}

// Set changes the link; packets under way keep their time.
func (p *Proxy) Set(l Link) { p.link.Store(&l) }

// Port is where players send to.
func (p *Proxy) Port() int { return p.front.LocalAddr().(*net.UDPAddr).Port } //nolint:forcetypeassert // of a UDPConn

// Counts tells what went in a direction.
func (p *Proxy) Counts(way Direction) Counts {
	return Counts{Passed: p.counts[way].passed.Load(), Lost: p.counts[way].lost.Load()}
}

// Close ends all ways through the proxy.
func (p *Proxy) Close() {
	p.mu.Lock()
	if p.closed {
		p.mu.Unlock()
		return
	}
	p.closed = true
	for _, f := range p.flows {
		close(f.done)
		_ = f.back.Close()
	}
	_ = p.front.Close()
	p.mu.Unlock()
	p.work.Wait()
}

func (p *Proxy) readPlayers() {
	buf := make([]byte, maxPacket)
	for {
		n, from, err := p.front.ReadFromUDPAddrPort(buf)
		if errors.Is(err, net.ErrClosed) {
			return
		}
		if err != nil {
			continue // a player that is gone
		}
		if f := p.flow(from); f != nil {
			f.put(ToServer, buf[:n])
		}
	}
}

// flow returns the way of a player; nil when there is none: no server is known yet, or there are too many players.
func (p *Proxy) flow(player netip.AddrPort) *flow {
	p.mu.Lock()
	defer p.mu.Unlock()
	if f := p.flows[player]; f != nil {
		return f
	}
	server := p.server.Load()
	if server == nil || p.closed || len(p.flows) >= maxPlayers {
		return nil
	}
	back, err := net.DialUDP("udp4", nil, server)
	if err != nil {
		return nil
	}
	_ = back.SetReadBuffer(readBuffer)
	f := &flow{proxy: p, player: player, back: back, done: make(chan struct{})}
	for way := range f.queues {
		f.queues[way] = make(chan parcel, maxQueue)
		f.chance[way] = rand.New(rand.NewPCG(p.options.Seed, uint64(2*len(p.flows)+way)))
	}
	p.flows[player] = f
	p.work.Go(f.readServer)
	p.work.Go(func() {
		f.carry(ToServer, func(b []byte) { _, _ = f.back.Write(b) }) // lost like any packet
	})
	p.work.Go(func() {
		f.carry(ToPlayer, func(b []byte) { _, _ = p.front.WriteToUDPAddrPort(b, f.player) })
	})
	return f
}

func (f *flow) readServer() {
	buf := make([]byte, maxPacket)
	for {
		n, err := f.back.Read(buf)
		if errors.Is(err, net.ErrClosed) {
			return
		}
		if err == nil {
			f.put(ToPlayer, buf[:n])
		}
	}
}

// put sends a packet on its way, or loses it.
func (f *flow) put(way Direction, packet []byte) {
	link := f.proxy.link.Load()
	if f.chance[way].Float64() < link.Loss {
		f.lose(way, packet)
		return
	}
	select {
	case f.queues[way] <- parcel{append([]byte(nil), packet...), time.Now().Add(link.Delay)}:
	default:
		f.lose(way, packet)
	}
}

func (f *flow) lose(way Direction, packet []byte) {
	f.proxy.counts[way].lost.Add(1)
	if f.proxy.options.Lost != nil {
		f.proxy.options.Lost(way, packet)
	}
}

// carry delivers the packets of a direction in their order, each when it is due.
func (f *flow) carry(way Direction, deliver func([]byte)) {
	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	for {
		var p parcel
		select {
		case <-f.done:
			return
		case p = <-f.queues[way]:
		}
		if wait := time.Until(p.due); wait > 0 {
			timer.Reset(wait)
			select {
			case <-f.done:
				return
			case <-timer.C:
			}
		}
		deliver(p.data)
		f.proxy.counts[way].passed.Add(1)
	}
}
