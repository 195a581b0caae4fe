package full

import (
	"fmt"
	"net"

	"github.com/pion/ice/v4"
	"github.com/pion/logging"

	sock "github.com/millrace/millrace/dataplane/play/socket"
)

// socket is the viewer's own UDP socket; the zero value stands for none.
type socket struct {
	conn *net.UDPConn
	mux  *ice.UDPMuxDefault
}

func newSocket(readBuffer int) (*socket, error) {
	conn, err := net.ListenUDP("udp", nil)
	if err != nil {
		return nil, fmt.Errorf("opening a UDP socket: %w", err)
	}
	s := &socket{conn: conn}
	s.control(func(fd uintptr) { sock.Enlarge(int(fd), readBuffer) })
	s.mux = ice.NewUDPMuxDefault(ice.UDPMuxParams{
		UDPConn: conn, Logger: logging.NewDefaultLeveledLoggerForScope("", logging.LogLevelDisabled, discard{}),
	})
	return s, nil
}

func (s *socket) control(do func(fd uintptr)) {
	if raw, err := s.conn.SyscallConn(); err == nil {
		_ = raw.Control(do)
	}
}

func (s *socket) close() {
	if s.mux != nil {
		_ = s.mux.Close()
		_ = s.conn.Close()
	}
}

// drops is how many datagrams the socket has thrown away because they were not read in time.
func (s *socket) drops() (n uint64) {
	if s.conn != nil {
		s.control(func(fd uintptr) { n = sock.Drops(int(fd)) })
	}
	return n
}
