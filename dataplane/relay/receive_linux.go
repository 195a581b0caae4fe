package relay

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"unsafe"

	"golang.org/x/sys/unix"
)

// readBatch is how many datagrams one system call reads at most.
const readBatch = 64

// received is struct mmsghdr: a message, and how much of it was read.
type received struct {
	header unix.Msghdr
	length uint32
}

// readBatches reads datagrams, many with one system call (recvmmsg), and gives each to take, until the socket is
// closed. What take gets is overwritten afterwards. It gives errors.ErrUnsupported when the system cannot; nothing was
// read then.
func readBatches(conn *net.UDPConn, take func(b []byte, from netip.AddrPort)) error {
	raw, err := conn.SyscallConn()
	if err != nil {
		return fmt.Errorf("preparing to read %s: %w", conn.LocalAddr(), err)
	}
	messages, vectors := make([]received, readBatch), make([]unix.Iovec, readBatch)
	names, data := make([]unix.RawSockaddrInet6, readBatch), make([]byte, readBatch*maxPacket)
	for i := range messages {
		vectors[i].Base = &data[i*maxPacket]
		vectors[i].SetLen(maxPacket)
		h := &messages[i].header
		h.Iov = &vectors[i]
		h.SetIovlen(1)
		h.Name = (*byte)(unsafe.Pointer(&names[i]))
	}
	var n uintptr
	var errno unix.Errno
	read := func(fd uintptr) bool {
		for i := range messages {
			messages[i].header.Namelen = unix.SizeofSockaddrInet6
		}
		n, _, errno = unix.Syscall6(
			unix.SYS_RECVMMSG,
			fd,
			uintptr(unsafe.Pointer(&messages[0])),
			readBatch,
			unix.MSG_DONTWAIT,
			0,
			0,
		)
		return errno != unix.EAGAIN
	}
	for {
		switch err := raw.Read(read); {
		case errors.Is(err, net.ErrClosed):
			return nil
		case errno == unix.ENOSYS || errno == unix.EPERM: // an old kernel, or a sandbox that lets no such call through
			return fmt.Errorf("recvmmsg: %w (%w)", errors.ErrUnsupported, errno)
		case err != nil || errno != 0:
			continue // interrupted, or an ICMP error of some player
		}
		for i := range int(n) {
			if from, ok := sender(&names[i]); ok {
				take(data[i*maxPacket:i*maxPacket+int(messages[i].length)], from)
			}
		}
	}
}

// sender reads the address that a datagram came from; its port is in network byte order. The kernel sends nothing to
// port 0, and link-local addresses are not served.
func sender(name *unix.RawSockaddrInet6) (netip.AddrPort, bool) {
	port := (*[2]byte)(unsafe.Pointer(&name.Port))
	number := uint16(port[0])<<8 | uint16(port[1])
	if name.Family == unix.AF_INET {
		return netip.AddrPortFrom(netip.AddrFrom4((*unix.RawSockaddrInet4)(unsafe.Pointer(name)).Addr), number), number != 0
	}
	return netip.AddrPortFrom(netip.AddrFrom16(name.Addr).Unmap(), number), number != 0 && name.Scope_id == 0
}
