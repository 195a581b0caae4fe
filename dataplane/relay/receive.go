package relay

import (
	"context"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"net/netip"
	"runtime/debug"
	"time"

	"github.com/millrace/millrace/dataplane/relay/fanout"
	"github.com/millrace/millrace/dataplane/relay/ice"
)

// maxPacket bounds what is read of a datagram.
const maxPacket = 2048

// receiveUDP reads a media socket and hands packets to their sessions.
func (r *Relay) receiveUDP(s *fanout.Socket) {
	buf := make([]byte, maxPacket)
	for {
		n, from, err := s.Conn.ReadFromUDPAddrPort(buf)
		if err != nil {
			if errors.Is(err, net.ErrClosed) {
				return
			}
			continue // an ICMP error of some player
		}
		from = netip.AddrPortFrom(from.Addr().Unmap(), from.Port())
		r.packet(buf[:n], path{socket: s, remote: from}, nil)
	}
}

// packet tells the protocols on a path apart by the first byte (RFC 7983, 7). known is the session of an ICE-TCP connection.
// It gives the session that the packet belongs to; nil when there is none, and then nothing was kept of it.
func (r *Relay) packet(b []byte, from path, known *session) *session {
	defer r.survive("packet", nil)
	if len(b) == 0 {
		return known
	}
	switch c := b[0]; {
	case c < 4:
		var req ice.Request
		if req.Parse(b) != nil {
			return known
		}
		s := r.sessions.ufrag(req.LocalUfrag())
		if s == nil {
			r.metrics.stunUnknown.Inc()
			return known
		}
		s.handleSTUN(&req, from)
		return s
	case c >= 20 && c < 64:
		if s := r.session(known, from.remote); s != nil {
			s.handleDTLS(b, from)
		}
	case c >= 128 && c < 192 && len(b) > 1 && b[1] >= 192 && b[1] < 224: // RTCP (RFC 5761, 4); viewers send no RTP
		if s := r.session(known, from.remote); s != nil {
			s.handleRTCP(b)
		}
	}
	return known
}

func (r *Relay) session(known *session, from netip.AddrPort) *session {
	if known != nil {
		return known
	}
	return r.sessions.addr(from)
}

// survive keeps a panic of one session from ending the process; then is called after one.
func (r *Relay) survive(what string, then func()) {
	if p := recover(); p != nil {
		r.metrics.panics.Inc()
		r.log.Info("Recovered from a panic", "in", what, "panic", p, "stack", string(debug.Stack()))
		if then != nil {
			then()
		}
	}
}

const (
	tcpFirstCheck = 10 * time.Second // within which a connection must show a session
	tcpMaxPending = 1024             // connections without one
)

// acceptTCP takes ICE-TCP connections (RFC 6544, 4.1).
func (r *Relay) acceptTCP(l *net.TCPListener) {
	pending := make(chan struct{}, tcpMaxPending)
	for {
		conn, err := l.AcceptTCP()
		if err != nil {
			if errors.Is(err, net.ErrClosed) {
				return
			}
			time.Sleep(10 * time.Millisecond) // out of file descriptors: others may be freed
			continue
		}
		select {
		case pending <- struct{}{}:
			r.goroutines.Go(func() { r.receiveTCP(conn, func() { <-pending }) })
		default:
			_ = conn.Close()
		}
	}
}

// receiveTCP reads packets with a length in front (RFC 4571, 2) until the connection or its session ends. identified is called once,
// when a session was shown or the connection is over.
func (r *Relay) receiveTCP(conn *net.TCPConn, identified func()) {
	defer func() {
		if identified != nil {
			identified()
		}
	}()
	defer conn.Close()
	defer context.AfterFunc(r.ctx, func() { _ = conn.Close() })()
	out, err := fanout.NewTCPPath(conn)
	if err != nil {
		return
	}
	remote := conn.RemoteAddr().(*net.TCPAddr).AddrPort() //nolint:forcetypeassert // of a TCPConn
	from := path{remote: netip.AddrPortFrom(remote.Addr().Unmap(), remote.Port()), tcp: out, conn: conn}
	_ = conn.SetReadDeadline(time.Now().Add(tcpFirstCheck))
	var size [2]byte
	buf := make([]byte, maxPacket)
	var s *session
	for {
		if _, err := io.ReadFull(conn, size[:]); err != nil {
			break
		}
		n := int(binary.BigEndian.Uint16(size[:]))
		if n > len(buf) {
			break
		}
		if _, err := io.ReadFull(conn, buf[:n]); err != nil {
			break
		}
		if s = r.packet(buf[:n], from, s); s != nil && identified != nil {
			identified()
			identified = nil
			_ = conn.SetReadDeadline(time.Time{})
		}
	}
	if s != nil && s.uses(out) {
		s.close("connection closed", nil)
	}
}

func (s *session) uses(t *fanout.TCPPath) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.path.tcp == t
}
