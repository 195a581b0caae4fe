package relay

import (
	"context"
	"net"

	"github.com/millrace/millrace/dataplane/door"
	"github.com/millrace/millrace/dataplane/relay/secure"
)

// transport is the DTLS of a session (secure.Transport).
type transport interface {
	Run(ctx context.Context)
	Deliver(record []byte)
	Settled()
	Parked() bool
	Close(n secure.Notice)
}

// startDTLS begins the handshake of a session. mu is held.
func (s *session) startDTLS() {
	t := secure.New(secure.Config{
		Identity: s.relay.identity, Gate: s.relay.handshakes, Fingerprint: s.fingerprint,
		From:   door.CountedAs(s.path.remote.Addr()),
		Remote: net.UDPAddrFromAddrPort(s.path.remote), Timeout: s.relay.opt.JoinTimeout,
		Log: s.relay.log.WithValues("session", s.id[:8]),
	}, s)
	s.dtls = t
	s.relay.goroutines.Go(func() { t.Run(s.relay.ctx) })
}

// Send sends a record to where the viewer is now.
func (s *session) Send(record []byte) {
	send, _ := s.Path()
	send(record)
}

// Path returns how to send to where the viewer is now, and whether that is TCP.
func (s *session) Path() (send func(record []byte), reliable bool) {
	s.mu.Lock()
	p := s.path
	s.mu.Unlock()
	return p.send, p.tcp != nil
}

// Failed ends the session after a handshake that failed.
func (s *session) Failed(err error) {
	s.relay.metrics.handshakeFailed.Inc()
	s.close("handshake failed", err)
}

// Left ends the session of a viewer that has ended its DTLS connection.
func (s *session) Left() { go s.close("player left", nil) }

// Survive keeps a panic of the session's DTLS from ending the process.
func (s *session) Survive(where string) {
	if p := recover(); p != nil {
		s.relay.panicked(where, p)
		s.close("panic", nil)
	}
}
