package ingest

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"time"

	"github.com/bluenviron/gortmplib/pkg/message"
)

// Player serves RTMP connections that ask to play. Publishing and playing share a port by the protocol's nature: which
// one it is shows with the command after connect.
type Player interface {
	// PlayRTMP has the connection until it returns; then it is closed gently. The context ends when the server does.
	PlayRTMP(ctx context.Context, p *PlayRequest)
}

// PlayRequest is a connection that asked to play, handshake and connect done.
type PlayRequest struct {
	Host     string // play domain: lower case, no port
	Path     string // "/app/stream" as sent
	RawQuery string // where the URL's signature is
	Referer  string // the pageUrl of the connect command; empty mostly

	session *session
}

// playError hands a play request out of the negotiation.
type playError struct{ request *PlayRequest }

func (*playError) Error() string { return "the connection asks to play" }

// play hands the connection over. It leaves the limits of connections per address: viewers have limits of their own.
func (s *session) play(ctx context.Context, p *PlayRequest) {
	s.server.gate.leave(s.address, true)
	s.handedOver = true
	_ = s.raw.SetDeadline(time.Time{})
	s.server.opt.Play.PlayRTMP(ctx, p)
	s.conn.closeGently()
}

// Remote is the address of the player.
func (p *PlayRequest) Remote() netip.AddrPort {
	a, err := netip.ParseAddrPort(p.session.raw.RemoteAddr().String())
	if err != nil {
		return netip.AddrPort{}
	}
	return netip.AddrPortFrom(a.Addr().Unmap(), a.Port())
}

// Conn is what media is written to, once Status has said that it comes: chunks of at most PlayChunkSize bytes. Nothing
// else may be written by this request at the same time.
func (p *PlayRequest) Conn() net.Conn { return p.session.conn.net }

// PlayChunkSize is the chunk size that players were told.
const PlayChunkSize = 65536

// Begin tells the player that its stream begins (RTMP 1.0, 7.1.7 and 7.2.2.1).
func (p *PlayRequest) Begin() error {
	return p.session.conn.write(&message.UserControlStreamBegin{StreamID: 1})
}

// EOF tells the player that its stream has ended.
func (p *PlayRequest) EOF() error {
	return p.session.conn.write(&message.UserControlStreamEOF{StreamID: 1})
}

// Status sends a NetStream status. Level is "status" or "error".
func (p *PlayRequest) Status(code, level, description string) error {
	return p.session.conn.status(status(code), level, description)
}

// errLeft says that the player has ended its playing.
var errLeft = errors.New("the player ended its playing")

// Wait reads what the player sends until it ends playing or the connection breaks, and gives why. It answers nothing,
// so media can be written at the same time.
func (p *PlayRequest) Wait() error {
	for {
		m, err := p.session.conn.readOnly()
		if err != nil {
			return err
		}
		if m.typ != typeCommandAMF0 {
			continue
		}
		cmd, err := parseCommand(m.body)
		if err != nil {
			return err
		}
		switch cmd.name {
		case "closeStream", "deleteStream":
			return errLeft
		}
	}
}

// StopWaiting makes Wait return.
func (p *PlayRequest) StopWaiting() { _ = p.session.raw.SetReadDeadline(time.Unix(1, 0)) }
