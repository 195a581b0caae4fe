package fanout

import (
	"fmt"
	"net"
	"net/netip"
	"sync/atomic"
	"syscall"
)

// Rung is a way to send, from the cheapest per packet to the most portable.
type Rung int32

// The rungs. A socket starts as high as the system allows and steps down for good when the kernel refuses.
const (
	RungSegments Rung = iota // UDP_SEGMENT: a frame of a viewer is one message; many messages are one sendmmsg
	RungMessages             // sendmmsg: a packet is one message
	RungPlain                // one send per packet
)

// String names the rung as metrics and logs show it.
func (r Rung) String() string {
	switch r {
	case RungSegments:
		return "segments"
	case RungMessages:
		return "messages"
	}
	return "plain"
}

// Socket is a UDP socket that viewers' packets leave from. It is shared by all workers.
type Socket struct {
	Conn *net.UDPConn

	raw   syscall.RawConn
	index int
	v6    bool
	rung  atomic.Int32
}

// socketBuffer is the size in bytes that is asked for a socket's send and receive buffers; the kernel may give less.
const socketBuffer = 8 << 20

// newSocket prepares a UDP socket that is bound to one local address.
func newSocket(conn *net.UDPConn, index int, highest Rung) (*Socket, error) {
	raw, err := conn.SyscallConn()
	if err != nil {
		return nil, fmt.Errorf("preparing media socket %s: %w", conn.LocalAddr(), err)
	}
	s := &Socket{
		Conn:  conn,
		raw:   raw,
		index: index,
		v6:    conn.LocalAddr().(*net.UDPAddr).IP.To4() == nil,
	} //nolint:forcetypeassert // of a UDPConn
	growBuffers(conn, raw)
	s.rung.Store(int32(max(highest, s.probe())))
	return s, nil
}

// Rung tells how the socket sends now.
func (s *Socket) Rung() Rung { return Rung(s.rung.Load()) }

// Local is the address that the socket is bound to.
func (s *Socket) Local() netip.AddrPort {
	a := s.Conn.LocalAddr().(*net.UDPAddr).AddrPort() //nolint:forcetypeassert // of a UDPConn
	return netip.AddrPortFrom(a.Addr().Unmap(), a.Port())
}
