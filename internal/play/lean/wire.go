package lean

import (
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"net/netip"
	"sync"
	"time"
)

// datagram is what one packet of the network brought. Its data are valid only during the call that hands it over.
type datagram struct {
	data    []byte
	from    netip.AddrPort
	arrival int64 // Unix ns, taken by the kernel where it can
}

// sink takes the datagrams of one wire in. A wire calls it from one goroutine at a time.
type sink interface {
	receive(batch []datagram)
}

// wire carries datagrams between one viewer and the server.
type wire interface {
	// send writes one datagram, to the given address as long as connect was not called.
	send(data []byte, to netip.AddrPort) error
	// connect lets only datagrams from and to the address pass from now on.
	connect(to netip.AddrPort) error
	// drops is how many datagrams the socket has thrown away because they were not read in time.
	drops() uint64
	close()
}

// maxFrame is the longest packet that a TCP wire takes (RFC 4571 allows 65,535 bytes).
const maxFrame = 1 << 16

// tcpWire frames datagrams on a TCP connection (RFC 4571; RFC 6544 for ICE).
type tcpWire struct {
	conn net.Conn
	mu   sync.Mutex // one frame at a time
}

// dialTCP connects to a passive TCP candidate and hands what comes to s.
func dialTCP(dial func(network, address string) (net.Conn, error), to netip.AddrPort, s sink) (*tcpWire, error) {
	conn, err := dial("tcp", to.String())
	if err != nil {
		return nil, fmt.Errorf("connecting to the TCP candidate: %w", err)
	}
	w := &tcpWire{conn: conn}
	go w.read(to, s)
	return w, nil
}

func (w *tcpWire) read(from netip.AddrPort, s sink) {
	const most = 64 // frames handed over at once
	buffer := make([]byte, 2*maxFrame)
	batch := make([]datagram, 0, most)
	filled := 0
	for {
		n, err := w.conn.Read(buffer[filled:])
		if n == 0 && err != nil {
			return
		}
		filled += n
		arrival := time.Now().UnixNano()
		used := 0
		for filled-used >= 2 {
			size := int(binary.BigEndian.Uint16(buffer[used:]))
			if filled-used-2 < size {
				break
			}
			batch = append(batch, datagram{data: buffer[used+2 : used+2+size], from: from, arrival: arrival})
			used += 2 + size
			if len(batch) == most {
				s.receive(batch)
				batch = batch[:0]
			}
		}
		if len(batch) > 0 {
			s.receive(batch)
			batch = batch[:0]
		}
		filled = copy(buffer, buffer[used:filled])
	}
}

func (w *tcpWire) send(data []byte, _ netip.AddrPort) error {
	if len(data) >= maxFrame {
		return io.ErrShortBuffer
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	framed := binary.BigEndian.AppendUint16(make([]byte, 0, len(data)+2), uint16(len(data)))
	if err := w.conn.SetWriteDeadline(time.Now().Add(5 * time.Second)); err != nil {
		return err
	}
	_, err := w.conn.Write(append(framed, data...))
	return err
}

func (w *tcpWire) connect(netip.AddrPort) error { return nil }
func (w *tcpWire) drops() uint64                { return 0 }
func (w *tcpWire) close()                       { _ = w.conn.Close() }
