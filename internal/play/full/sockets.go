package full

import (
	"fmt"
	"net"
	"sync"

	"github.com/pion/transport/v5"
	"github.com/pion/transport/v5/stdnet"

	"github.com/millrace/millrace/internal/play/socket"
)

// sockets is the network as the viewer's ICE agent sees it. It gives UDP sockets a large receive buffer and knows what
// they have dropped. (One socket behind a mux would not do: the agent reads it once per local candidate, which reorders
// packets.)
type sockets struct {
	transport.Net
	bufferSize int

	mu    sync.Mutex
	conns []*net.UDPConn
}

func newSockets(bufferSize int) (*sockets, error) {
	std, err := stdnet.NewNet()
	if err != nil {
		return nil, fmt.Errorf("listing network interfaces: %w", err)
	}
	return &sockets{Net: std, bufferSize: bufferSize}, nil
}

// ListenUDP opens a UDP socket.
func (s *sockets) ListenUDP(network string, local *net.UDPAddr) (transport.UDPConn, error) {
	conn, err := net.ListenUDP(network, local)
	if err != nil {
		return nil, err
	}
	control(conn, func(fd int) { socket.Enlarge(fd, s.bufferSize) })
	s.mu.Lock()
	defer s.mu.Unlock()
	s.conns = append(s.conns, conn)
	return conn, nil
}

// drops is how many datagrams the sockets have thrown away because they were not read in time. A closed socket counts
// no more.
func (s *sockets) drops() (n uint64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, conn := range s.conns {
		control(conn, func(fd int) { n += socket.Drops(fd) })
	}
	return n
}

func control(conn *net.UDPConn, do func(fd int)) {
	if raw, err := conn.SyscallConn(); err == nil {
		_ = raw.Control(func(fd uintptr) { do(int(fd)) })
	}
}
