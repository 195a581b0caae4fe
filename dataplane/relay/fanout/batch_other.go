//go:build !linux

package fanout

import (
	"net"
	"net/netip"
	"syscall"
)

// Elsewhere than on Linux every packet is one send.

type sockaddr struct{}

func newSockaddr(netip.AddrPort, bool) sockaddr { return sockaddr{} }

type batchSystem struct{}

func (*batchSystem) init(*Batch) {}

func (*Socket) probe() Rung { return RungPlain }

func growBuffers(conn *net.UDPConn, _ syscall.RawConn) {
	_ = conn.SetReadBuffer(socketBuffer)
	_ = conn.SetWriteBuffer(socketBuffer)
}

func (b *Batch) sendSegments(from int) int {
	b.sendPlain(b.runs[from:])
	return len(b.runs)
}

func (b *Batch) sendMessages(runs []run) { b.sendPlain(runs) }
