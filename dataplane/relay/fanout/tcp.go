package fanout

import (
	"encoding/binary"
	"fmt"
	"net"
	"sync"
	"syscall"
	"time"
)

// TCPPath carries a viewer's packets over ICE-TCP, each with its length in front (RFC 4571, 2). Writing never waits:
// what the connection does not take stays until it does, and meanwhile the viewer gets nothing new. It is safe for
// concurrent use: the worker sends media, others STUN and DTLS.
type TCPPath struct {
	raw syscall.RawConn

	mu   sync.Mutex
	buf  []byte
	sent int // bytes of buf that are written

	try    func(fd uintptr) bool
	failed bool
	since  time.Time // when the connection took bytes last while some wait; zero when none wait
}

// maxStall is how long a connection may take nothing while bytes wait for it.
const maxStall = 10 * time.Second

// stalled reports whether the connection has taken nothing for maxStall.
func (t *TCPPath) stalled(now time.Time) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return !t.since.IsZero() && now.Sub(t.since) > maxStall
}

// NewTCPPath prepares a connection.
func NewTCPPath(conn *net.TCPConn) (*TCPPath, error) {
	raw, err := conn.SyscallConn()
	if err != nil {
		return nil, fmt.Errorf("preparing ICE-TCP connection of %s: %w", conn.RemoteAddr(), err)
	}
	t := &TCPPath{raw: raw}
	t.try = func(fd uintptr) bool {
		n, err := syscall.Write(int(fd), t.buf[t.sent:])
		switch {
		case n > 0:
			t.sent += n
		case err != nil && err != syscall.EAGAIN && err != syscall.EINTR:
			t.failed = true
		}
		return true // never wait
	}
	return t, nil
}

// maxQueued bounds in bytes what waits for a connection beside media: STUN and DTLS beyond are dropped, as UDP would.
const maxQueued = 256 << 10

// full reports whether so much waits already that nothing is added but media.
func (t *TCPPath) full() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return len(t.buf) > maxQueued
}

// Send queues one packet and writes what the connection takes.
func (t *TCPPath) Send(packet []byte) {
	buf := t.open(len(packet))
	if len(t.buf) > maxQueued {
		t.mu.Unlock()
		return
	}
	t.close(copy(buf, packet))
	t.flush()
}

// open locks the path and gives a buffer for a packet of at most n bytes.
func (t *TCPPath) open(n int) []byte {
	t.mu.Lock()
	at := len(t.buf) + 2
	if cap(t.buf) < at+n {
		grown := make([]byte, len(t.buf), 2*cap(t.buf)+at+n)
		copy(grown, t.buf)
		t.buf = grown
	}
	return t.buf[at : at+n]
}

// close adds the packet of the given size that was written after open, and unlocks the path.
func (t *TCPPath) close(size int) {
	at := len(t.buf)
	t.buf = t.buf[:at+2+size]
	binary.BigEndian.PutUint16(t.buf[at:], uint16(size))
	t.mu.Unlock()
}

// flush writes what is there and reports whether all of it went.
func (t *TCPPath) flush() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	start := t.sent
	for t.sent < len(t.buf) && !t.failed {
		before := t.sent
		if err := t.raw.Write(t.try); err != nil {
			t.failed = true
		}
		if t.sent == before {
			break
		}
	}
	if t.sent < len(t.buf) && !t.failed {
		if t.sent > start || t.since.IsZero() {
			t.since = time.Now()
		}
		return false
	}
	t.since = time.Time{}
	if cap(t.buf) > maxQueued { // a burst's buffer is not kept for every viewer
		t.buf = nil
	}
	t.buf, t.sent = t.buf[:0], 0
	return true
}
