package fanout

import (
	"encoding/binary"
	"net"
	"net/netip"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// sockaddr is a struct sockaddr_in or sockaddr_in6, as sendmsg(2) takes it.
type sockaddr struct {
	raw  unix.RawSockaddrInet6 // the larger of the two; IPv4 uses its front
	size uint32
}

func newSockaddr(addr netip.AddrPort, v6 bool) sockaddr {
	var s sockaddr
	port := (*[2]byte)(unsafe.Pointer(&s.raw.Port)) // the port stands at the same place in both forms
	binary.BigEndian.PutUint16(port[:], addr.Port())
	if v6 {
		s.raw.Family, s.raw.Addr, s.size = unix.AF_INET6, addr.Addr().As16(), unix.SizeofSockaddrInet6
		return s
	}
	s.raw.Family, s.size = unix.AF_INET, unix.SizeofSockaddrInet4
	v4 := (*unix.RawSockaddrInet4)(unsafe.Pointer(&s.raw))
	v4.Addr = addr.Addr().Unmap().As4()
	return s
}

// mmsghdr is struct mmsghdr of sendmmsg(2).
type mmsghdr struct {
	hdr unix.Msghdr
	len uint32
	_   [4]byte
}

const controlSize = 24 // CMSG_SPACE(sizeof(uint16)) on 64-bit systems

// batchSystem is the memory that system calls are made with; it is allocated once.
type batchSystem struct {
	msgs    [maxRuns]mmsghdr
	iov     [maxRuns]unix.Iovec
	control [maxRuns][controlSize]byte

	count int // messages to send now
	sent  int
	errno syscall.Errno

	try  func(fd uintptr)
	wait func(fd uintptr) bool
}

func (s *batchSystem) init(*Batch) {
	s.try = func(fd uintptr) { s.send(fd) }
	s.wait = func(fd uintptr) bool {
		s.send(fd)
		return s.errno != unix.EAGAIN
	}
}

// send is one sendmmsg(2) of the prepared messages.
func (s *batchSystem) send(fd uintptr) {
	n, _, errno := unix.Syscall6(
		unix.SYS_SENDMMSG,
		fd,
		uintptr(unsafe.Pointer(&s.msgs[0])),
		uintptr(s.count),
		unix.MSG_DONTWAIT,
		0,
		0,
	)
	s.errno, s.sent = errno, 0
	if errno == 0 {
		s.sent = int(n)
	}
}

// set prepares message i: a region of the arena, cut by the kernel into segments of seg bytes when seg is not 0.
func (s *batchSystem) set(i int, d *Dest, region []byte, seg int) {
	s.iov[i].Base = &region[0]
	s.iov[i].SetLen(len(region))
	h := &s.msgs[i].hdr
	h.Name = (*byte)(unsafe.Pointer(&d.name.raw))
	h.Namelen = d.name.size
	h.Iov = &s.iov[i]
	h.Iovlen = 1
	h.Control, h.Controllen = nil, 0
	if seg > 0 {
		c := &s.control[i]
		cm := (*unix.Cmsghdr)(unsafe.Pointer(c))
		cm.Level, cm.Type = unix.SOL_UDP, unix.UDP_SEGMENT
		cm.SetLen(unix.CmsgLen(2))
		*(*uint16)(unsafe.Pointer(&c[unix.CmsgLen(0)])) = uint16(seg)
		h.Control = &c[0]
		h.SetControllen(controlSize)
	}
}

// flushSystem sends the prepared messages and tells how many went out. A full send buffer is waited for; the error is
// that of the first message that did not go.
func (b *Batch) flushSystem(count int) (int, syscall.Errno) {
	s := &b.sys
	s.count = count
	// Control does not take the write lock that the workers of a socket would contend for; waiting needs Write.
	if err := b.sock.raw.Control(s.try); err != nil {
		return 0, unix.EBADF
	}
	b.Sent.Calls++
	if s.errno == unix.EAGAIN {
		if err := b.sock.raw.Write(s.wait); err != nil {
			return 0, unix.EBADF
		}
		b.Sent.Calls++
	}
	return s.sent, s.errno
}

// sendSegments sends runs from index from on and gives the index at which to go on: behind the last when all went.
func (b *Batch) sendSegments(from int) int {
	runs := b.runs[from:]
	for i := range runs {
		r := &runs[i]
		seg := r.seg
		if r.count == 1 {
			seg = 0
		}
		b.sys.set(i, r.dest, b.arena[r.start:r.end], seg)
	}
	n, errno := b.flushSystem(len(runs))
	for i := range runs[:n] {
		b.Sent.Packets += uint64(runs[i].count)
		b.Sent.Bytes += uint64(runs[i].end - runs[i].start)
	}
	if errno == 0 {
		return from + n
	}
	failed := &runs[n]
	// A device that cannot checksum gives EIO, an old kernel EINVAL: without segments it works.
	if failed.count > 1 && (errno == unix.EIO || errno == unix.EINVAL) {
		b.stepDown(RungSegments)
		return from + n
	}
	if errno == unix.ENOSYS {
		b.stepDown(RungSegments)
		b.stepDown(RungMessages)
		return from + n
	}
	b.Sent.Failed += uint64(failed.count)
	return from + n + 1
}

// sendMessages sends every packet as a message of its own.
func (b *Batch) sendMessages(runs []run) {
	count := 0
	for i := range runs {
		r := &runs[i]
		for at := r.start; at < r.end; at += r.seg {
			b.sys.set(count, r.dest, b.arena[at:min(at+r.seg, r.end)], 0)
			if count++; count == maxRuns {
				b.sendPrepared(count)
				count = 0
			}
		}
	}
	b.sendPrepared(count)
}

func (b *Batch) sendPrepared(count int) {
	for count > 0 {
		n, errno := b.flushSystem(count)
		b.Sent.Packets += uint64(n)
		for i := range n {
			b.Sent.Bytes += uint64(b.sys.msgs[i].hdr.Iov.Len)
		}
		if errno != 0 {
			b.Sent.Failed++
			n++
		} else if n == 0 {
			return
		}
		count -= n
		copy(b.sys.msgs[:count], b.sys.msgs[n:n+count])
		// The headers moved, what they point to did not: iov n.. still belongs to them until all are sent.
	}
}

// probe tells the highest rung that the kernel knows (UDP_SEGMENT: Linux 4.18).
func (s *Socket) probe() Rung {
	rung := RungMessages
	err := s.raw.Control(func(fd uintptr) {
		if unix.SetsockoptInt(int(fd), unix.IPPROTO_UDP, unix.UDP_SEGMENT, 0) == nil {
			rung = RungSegments
		}
	})
	if err != nil {
		return RungPlain
	}
	return rung
}

// ignorePathMTU keeps ICMP messages about one path from touching the socket. The kernel refuses segments larger than a
// path's MTU with EINVAL, and a forged message is all that it takes to lower that; our packets fit into every path
// anyway (MaxPayload), and routers may cut them where they do not (IP_PMTUDISC_OMIT: Linux 3.15). It is a no-op for the
// family that the socket does not have.
func ignorePathMTU(fd uintptr) {
	_ = unix.SetsockoptInt(int(fd), unix.IPPROTO_IP, unix.IP_MTU_DISCOVER, unix.IP_PMTUDISC_OMIT)
	_ = unix.SetsockoptInt(int(fd), unix.IPPROTO_IPV6, unix.IPV6_MTU_DISCOVER, unix.IPV6_PMTUDISC_OMIT)
}

// growBuffers asks for large buffers: up to the system's limit, and beyond it where we may.
func growBuffers(conn *net.UDPConn, raw syscall.RawConn) {
	_ = conn.SetReadBuffer(socketBuffer)
	_ = conn.SetWriteBuffer(socketBuffer)
	_ = raw.Control(func(fd uintptr) { // EPERM without CAP_NET_ADMIN: the limit it is
		_ = unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_RCVBUFFORCE, socketBuffer)
		_ = unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_SNDBUFFORCE, socketBuffer)
	})
	_ = raw.Control(ignorePathMTU)
}
