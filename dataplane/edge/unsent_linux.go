package edge

import (
	"crypto/tls"
	"net"
	"time"

	"golang.org/x/sys/unix"
)

// unsentBytes is how much the kernel holds for a connection beyond what is on its way.
const unsentBytes = 64 << 10

// boundUnsent keeps the kernel from taking seconds of media for a slow reader: what it holds is neither seen nor
// skipped. The congestion window is not touched, so a fast path stays fast (tcp(7), TCP_NOTSENT_LOWAT).
func boundUnsent(conn net.Conn) {
	// An old kernel that does not know it queues more; everything else is the same.
	control(conn, func(fd int) { _ = unix.SetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_NOTSENT_LOWAT, unsentBytes) })
}

// answersOf asks the kernel (tcp(7), TCP_INFO). Silence counts while retransmissions or probes of a closed window go
// unanswered: what waits between two probes that were answered is no silence.
func answersOf(conn net.Conn) (a answers, known bool) {
	control(conn, func(fd int) {
		info, err := unix.GetsockoptTCPInfo(fd, unix.IPPROTO_TCP, unix.TCP_INFO)
		if err != nil {
			return
		}
		a.acked, known = info.Bytes_acked, true
		if info.Retransmits > 0 || info.Probes > 0 {
			a.silent = time.Duration(info.Last_ack_recv) * time.Millisecond
		}
	})
	return a, known
}

// control calls f with the descriptor of a TCP connection, also of one below TLS.
func control(conn net.Conn, f func(fd int)) {
	if secure, ok := conn.(*tls.Conn); ok {
		conn = secure.NetConn()
	}
	c, ok := conn.(*net.TCPConn)
	if !ok {
		return
	}
	if raw, err := c.SyscallConn(); err == nil {
		_ = raw.Control(func(fd uintptr) { f(int(fd)) }) // a closed connection has nothing to tell
	}
}
