package relay

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"runtime/debug"
	"slices"
	"time"

	"github.com/millrace/millrace/dataplane/relay/fanout"
	"github.com/millrace/millrace/dataplane/relay/ice"
)

// maxPacket bounds what is read of a datagram.
const maxPacket = 2048

// receiveUDP reads a media socket and hands packets to their sessions.
func (r *Relay) receiveUDP(s *fanout.Socket) {
	take := func(b []byte, from netip.AddrPort) { r.packet(b, path{socket: s, remote: from}, nil) }
	err := readBatches(s.Conn, take)
	if errors.Is(err, errors.ErrUnsupported) {
		r.log.Info(
			"Reading a datagram at a time: the system reads no batches",
			"socket",
			s.Local().String(),
			"cause",
			err.Error(),
		)
		readPlain(s.Conn, take)
	}
}

// readPlain reads datagrams one by one and gives each to take, until the socket is closed.
func readPlain(conn *net.UDPConn, take func(b []byte, from netip.AddrPort)) {
	buf := make([]byte, maxPacket)
	for {
		n, from, err := conn.ReadFromUDPAddrPort(buf)
		if err != nil {
			if errors.Is(err, net.ErrClosed) {
				return
			}
			continue // an ICMP error of some player
		}
		from = netip.AddrPortFrom(from.Addr().Unmap(), from.Port())
		if from.Port() == 0 || from.Addr().Zone() != "" {
			continue // the kernel sends nothing to port 0, and link-local addresses are not served
		}
		take(buf[:n], from)
	}
}

// packet tells the protocols on a path apart by the first byte (RFC 7983, 7). known is the session of an ICE-TCP
// connection. It gives the session that the path has proved to belong to; nil when there is none, and then nothing was
// kept of it.
func (r *Relay) packet(b []byte, from path, known *session) *session {
	var s *session
	defer r.survive("packet", func() {
		if s != nil {
			go s.close("panic", nil)
		}
	})
	if len(b) == 0 {
		return known
	}
	switch c := b[0]; {
	case c < 4:
		var m stunPacket
		if s = r.stun(b, &m, known); s != nil && s.handleSTUN(&m, from, len(b)) {
			return s
		}
	case c >= 20 && c < 64:
		if s = r.session(known, from.remote); s != nil {
			s.handleDTLS(b, from)
		} else if s = r.sessions.hold(from.remote, b); s != nil {
			s.handleUnproven(b, from)
		}
	case c >= 128 && c < 192 && len(b) > 1 && b[1] >= 192 && b[1] < 224: // RTCP (RFC 5761, 4); viewers send no RTP
		if s = r.session(known, from.remote); s != nil {
			s.handleRTCP(b)
		}
	}
	return known
}

// stunPacket is a check of a player, or its answer to a request of ours.
type stunPacket struct {
	check    ice.Request
	answer   ice.Answer
	isAnswer bool
}

// stun reads a STUN packet and returns the session that it names; nil when there is none, or another one than known.
func (r *Relay) stun(b []byte, m *stunPacket, known *session) *session {
	var s *session
	switch {
	case m.check.Parse(b) == nil:
		s = r.sessions.ufrag(m.check.LocalUfrag())
	case m.answer.Parse(b) == nil:
		m.isAnswer = true
		s = r.sessions.tag(m.answer.Tag)
	default:
		return nil
	}
	if s == nil {
		r.metrics.stunUnknown.Inc()
	}
	if known != nil && known != s {
		return nil
	}
	return s
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
		r.panicked(what, p)
		if then != nil {
			then()
		}
	}
}

func (r *Relay) panicked(what string, p any) {
	r.metrics.panics.Inc()
	r.broke(what, p, debug.Stack())
}

// broke logs a panic that ended one session, or the sessions of one stream.
func (r *Relay) broke(doing string, p any, stack []byte) {
	r.log.Error(fmt.Errorf("panic: %v", p), "Recovered from a panic", "In", doing, "Stack", string(stack))
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

// receiveTCP reads packets with a length in front (RFC 4571, 2) until the connection or its session ends. identified is
// called once, when a session was shown or the connection is over.
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
	from := path{remote: netip.AddrPortFrom(remote.Addr().Unmap(), remote.Port()), tcp: out}
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
			if !s.keep(conn) {
				return
			}
			identified()
			identified = nil
			_ = conn.SetReadDeadline(time.Time{})
		}
	}
	if s != nil && s.lose(conn, out) {
		s.close("connection closed", nil)
	}
}

// maxConns bounds the ICE-TCP connections of one session: a player checks each address of ours and stays on one.
const maxConns = 16

// keep ties an ICE-TCP connection to the session, which closes it when it ends; false says that there is no room.
func (s *session) keep(conn *net.TCPConn) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed || len(s.conns) >= maxConns {
		return false
	}
	s.conns = append(s.conns, conn)
	return true
}

// lose forgets a connection that is over, and reports whether it was the one that the player used. One that was only
// checked may go: the player has chosen another path, or will.
func (s *session) lose(conn *net.TCPConn, out *fanout.TCPPath) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.conns = slices.DeleteFunc(s.conns, func(c *net.TCPConn) bool { return c == conn })
	if s.path.tcp != out {
		return false
	}
	if s.dtls == nil {
		s.path = path{}
		return false
	}
	return true
}
