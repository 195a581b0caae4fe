package lean

import (
	"errors"
	"fmt"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/millrace/millrace/internal/play/socket"
)

// Datagrams read with one system call. With GRO a message holds up to 64 KiB of equal datagrams.
const (
	batchSize   = 64
	plainBuffer = 2048
	groBuffer   = 1 << 16
	ctrlBuffer  = 128
)

// reactor reads the sockets of all viewers: one goroutine waits for all of them (epoll) and reads each in batches
// (recvmmsg) into buffers that all share, because what is read is dealt with before the next read.
type reactor struct {
	epoll, wake int
	gro         bool
	bufferSize  int

	mu    sync.Mutex
	wires map[int32]*udpWire
	done  chan struct{}
	calls atomic.Uint64
}

type message struct {
	header unix.Msghdr
	length uint32
}

func newReactor(o Options) (*reactor, error) {
	epoll, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	if err != nil {
		return nil, fmt.Errorf("creating an epoll instance: %w", err)
	}
	wake, err := unix.Eventfd(0, unix.EFD_CLOEXEC|unix.EFD_NONBLOCK)
	if err != nil {
		_ = unix.Close(epoll)
		return nil, fmt.Errorf("creating an event descriptor: %w", err)
	}
	if err := unix.EpollCtl(epoll, unix.EPOLL_CTL_ADD, wake, &unix.EpollEvent{Events: unix.EPOLLIN,
		Fd: int32(wake)}); err != nil {
		_, _ = unix.Close(epoll), unix.Close(wake)
		return nil, fmt.Errorf("watching an event descriptor: %w", err)
	}
	r := &reactor{
		epoll: epoll, wake: wake, gro: o.GRO, bufferSize: o.ReadBuffer, wires: map[int32]*udpWire{},
		done: make(chan struct{}),
	}
	go r.run()
	return r, nil
}

// close ends the reading goroutine. All wires must have been closed before.
func (r *reactor) close() {
	one := [8]byte{1}
	_, _ = unix.Write(r.wake, one[:])
	<-r.done
	_, _ = unix.Close(r.epoll), unix.Close(r.wake)
}

// reads is how many system calls have read datagrams so far.
func (r *reactor) reads() uint64 { return r.calls.Load() }

func (r *reactor) run() {
	defer close(r.done)
	size := plainBuffer
	if r.gro {
		size = groBuffer
	}
	b := newBuffers(size)
	events := make([]unix.EpollEvent, 256)
	for {
		n, err := unix.EpollWait(r.epoll, events, -1)
		if err != nil && !errors.Is(err, unix.EINTR) {
			return
		}
		for _, event := range events[:max(n, 0)] {
			if event.Fd == int32(r.wake) {
				return
			}
			r.mu.Lock()
			w := r.wires[event.Fd]
			r.mu.Unlock()
			if w != nil {
				w.drain(b)
			}
		}
	}
}

// buffers are what one recvmmsg fills.
type buffers struct {
	messages []message
	vectors  []unix.Iovec
	names    []unix.RawSockaddrInet6
	control  [][ctrlBuffer]byte
	data     []byte
	size     int
	batch    []datagram
}

func newBuffers(size int) *buffers {
	b := &buffers{
		messages: make(
			[]message,
			batchSize,
		), vectors: make([]unix.Iovec, batchSize), names: make([]unix.RawSockaddrInet6, batchSize),
		control: make([][ctrlBuffer]byte, batchSize), data: make([]byte, batchSize*size), size: size,
		batch: make([]datagram, 0, batchSize),
	}
	for i := range b.messages {
		b.vectors[i].Base = &b.data[i*size]
		b.vectors[i].SetLen(size)
		h := &b.messages[i].header
		h.Iov = &b.vectors[i]
		h.SetIovlen(1)
		h.Name = (*byte)(unsafe.Pointer(&b.names[i]))
		h.Control = &b.control[i][0]
	}
	return b
}

// udpWire is the socket of one viewer.
type udpWire struct {
	reactor *reactor
	sink    sink
	// held for reading while the descriptor is used, so that it cannot be closed and given to another
	mu        sync.RWMutex
	fd        int
	connected atomic.Bool
	last      atomic.Uint64 // drops at the time of closing
}

// listen opens a UDP socket of the address's family.
func (r *reactor) listen(near netip.Addr, s sink) (wire, error) {
	family := unix.AF_INET
	if near.Is6() {
		family = unix.AF_INET6
	}
	fd, err := unix.Socket(family, unix.SOCK_DGRAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, fmt.Errorf("opening a UDP socket: %w", err)
	}
	socket.Enlarge(fd, r.bufferSize)
	// Times and GRO make figures better, but not having them is no failure.
	_ = unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_TIMESTAMPNS, 1)
	if r.gro {
		_ = unix.SetsockoptInt(fd, unix.SOL_UDP, unix.UDP_GRO, 1)
	}
	w := &udpWire{reactor: r, sink: s, fd: fd}
	r.mu.Lock()
	r.wires[int32(fd)] = w
	r.mu.Unlock()
	if err := unix.EpollCtl(r.epoll, unix.EPOLL_CTL_ADD, fd, &unix.EpollEvent{Events: unix.EPOLLIN,
		Fd: int32(fd)}); err != nil {
		w.close()
		return nil, fmt.Errorf("watching a UDP socket: %w", err)
	}
	return w, nil
}

// drain reads what the socket holds, at most a few batches so that other viewers get their turn.
func (w *udpWire) drain(b *buffers) {
	for range 4 {
		n := w.read(b)
		if n <= 0 {
			return
		}
		b.batch = b.batch[:0]
		now := time.Now().UnixNano()
		for i := range n {
			b.split(i, now, w.connected.Load())
		}
		w.sink.receive(b.batch)
		if n < batchSize {
			return
		}
	}
}

func (w *udpWire) read(b *buffers) int {
	w.mu.RLock()
	defer w.mu.RUnlock()
	if w.fd < 0 {
		return -1
	}
	for i := range b.messages {
		b.messages[i].header.Namelen = unix.SizeofSockaddrInet6
		b.messages[i].header.SetControllen(ctrlBuffer)
	}
	w.reactor.calls.Add(1)
	n, _, errno := unix.Syscall6(unix.SYS_RECVMMSG, uintptr(w.fd), uintptr(unsafe.Pointer(&b.messages[0])), batchSize,
		unix.MSG_DONTWAIT, 0, 0)
	if errno != 0 {
		return -1
	}
	return int(n)
}

// split adds the datagrams of message i to the batch: several when the kernel joined them (GRO).
func (b *buffers) split(i int, now int64, connected bool) {
	m := &b.messages[i]
	data := b.data[i*b.size : i*b.size+int(m.length)]
	arrival, segment := now, len(data)
	for rest := b.control[i][:m.header.Controllen]; len(rest) >= unix.SizeofCmsghdr; {
		header, value, more, err := unix.ParseOneSocketControlMessage(rest)
		if err != nil {
			break
		}
		switch {
		case header.Level == unix.SOL_SOCKET && header.Type == unix.SO_TIMESTAMPNS &&
			len(value) >= int(unsafe.Sizeof(unix.Timespec{})):
			arrival = (*unix.Timespec)(unsafe.Pointer(&value[0])).Nano()
		case header.Level == unix.SOL_UDP && header.Type == unix.UDP_GRO && len(value) >= 4:
			segment = int(*(*int32)(unsafe.Pointer(&value[0])))
		}
		rest = more
	}
	var from netip.AddrPort
	if !connected {
		from = b.sender(i)
	}
	for len(data) > 0 {
		size := min(max(segment, 1), len(data))
		b.batch = append(b.batch, datagram{data: data[:size], from: from, arrival: arrival})
		data = data[size:]
	}
}

// sender reads the address of message i; ports are in network byte order.
func (b *buffers) sender(i int) netip.AddrPort {
	name := &b.names[i]
	port := (*[2]byte)(unsafe.Pointer(&name.Port))
	number := uint16(port[0])<<8 | uint16(port[1])
	if name.Family == unix.AF_INET {
		return netip.AddrPortFrom(netip.AddrFrom4((*unix.RawSockaddrInet4)(unsafe.Pointer(name)).Addr), number)
	}
	return netip.AddrPortFrom(netip.AddrFrom16(name.Addr).Unmap(), number)
}

func (w *udpWire) send(data []byte, to netip.AddrPort) error {
	w.mu.RLock()
	defer w.mu.RUnlock()
	if w.fd < 0 {
		return errClosed
	}
	if w.connected.Load() {
		_, err := unix.Write(w.fd, data)
		return err
	}
	return unix.Sendto(w.fd, data, 0, sockaddr(to))
}

func (w *udpWire) connect(to netip.AddrPort) error {
	w.mu.RLock()
	defer w.mu.RUnlock()
	if w.fd < 0 {
		return errClosed
	}
	if err := unix.Connect(w.fd, sockaddr(to)); err != nil {
		return fmt.Errorf("connecting the UDP socket: %w", err)
	}
	w.connected.Store(true)
	return nil
}

// drops reads the socket's own count .
func (w *udpWire) drops() uint64 {
	w.mu.RLock()
	defer w.mu.RUnlock()
	if w.fd < 0 {
		return w.last.Load()
	}
	return socket.Drops(w.fd)
}

func (w *udpWire) close() {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.fd < 0 {
		return
	}
	w.last.Store(socket.Drops(w.fd))
	w.reactor.mu.Lock()
	delete(w.reactor.wires, int32(w.fd))
	w.reactor.mu.Unlock()
	_ = unix.Close(w.fd)
	w.fd = -1
}

func sockaddr(to netip.AddrPort) unix.Sockaddr {
	if to.Addr().Is4() {
		return &unix.SockaddrInet4{Port: int(to.Port()), Addr: to.Addr().As4()}
	}
	return &unix.SockaddrInet6{Port: int(to.Port()), Addr: to.Addr().As16()}
}
