package edge

import (
	"crypto/tls"
	"net"

	"golang.org/x/sys/unix"
)

// unsentBytes is how much the kernel holds for a connection beyond what is on its way.
const unsentBytes = 64 << 10

// boundUnsent keeps the kernel from taking seconds of media for a slow reader: what it holds is neither seen nor skipped. The congestion
// window is not touched, so a fast path stays fast (tcp(7), TCP_NOTSENT_LOWAT).
func boundUnsent(conn net.Conn) {
	if secure, ok := conn.(*tls.Conn); ok {
		conn = secure.NetConn()
	}
	c, ok := conn.(*net.TCPConn)
	if !ok {
		return
	}
	raw, err := c.SyscallConn()
	if err != nil {
		return
	}
	// An old kernel that does not know it queues more; everything else is the same.
	_ = raw.Control(func(fd uintptr) {
		_ = unix.SetsockoptInt(int(fd), unix.IPPROTO_TCP, unix.TCP_NOTSENT_LOWAT, unsentBytes)
	})
}
