//go:build !linux

package lean

import (
	"fmt"
	"net"
	"net/netip"
	"sync/atomic"
	"time"
)

// reactor reads each viewer's socket by a goroutine of its own, where there is no epoll and no recvmmsg.
type reactor struct {
	bufferSize int
	calls      atomic.Uint64
}

func newReactor(o Options) (*reactor, error) { return &reactor{bufferSize: o.ReadBuffer}, nil }

func (r *reactor) close() {}

// reads is how many system calls have read datagrams so far.
func (r *reactor) reads() uint64 { return r.calls.Load() }

type udpWire struct {
	conn *net.UDPConn
	to   atomic.Pointer[netip.AddrPort]
}

// listen opens a UDP socket of the address's family.
func (r *reactor) listen(near netip.Addr, s sink) (wire, error) {
	network := "udp4"
	if near.Is6() {
		network = "udp6"
	}
	conn, err := net.ListenUDP(network, nil)
	if err != nil {
		return nil, fmt.Errorf("opening a UDP socket: %w", err)
	}
	_ = conn.SetReadBuffer(r.bufferSize)
	w := &udpWire{conn: conn}
	go func() {
		buffer := make([]byte, 2048)
		for {
			n, from, err := conn.ReadFromUDPAddrPort(buffer)
			if err != nil {
				return
			}
			r.calls.Add(1)
			from = netip.AddrPortFrom(from.Addr().Unmap(), from.Port())
			if to := w.to.Load(); to == nil || *to == from {
				s.receive([]datagram{{data: buffer[:n], from: from, arrival: time.Now().UnixNano()}})
			}
		}
	}()
	return w, nil
}

func (w *udpWire) send(data []byte, to netip.AddrPort) error {
	if connected := w.to.Load(); connected != nil {
		to = *connected
	}
	_, err := w.conn.WriteToUDPAddrPort(data, to)
	return err
}

func (w *udpWire) connect(to netip.AddrPort) error {
	w.to.Store(&to)
	return nil
}

func (w *udpWire) drops() uint64 { return 0 }
func (w *udpWire) close()        { _ = w.conn.Close() }
