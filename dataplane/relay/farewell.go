package relay

import (
	"bytes"
	"context"
	"encoding/gob"
	"fmt"
	"io"
	"net"
	"os"
	"time"

	"github.com/pion/dtls/v3"
	"github.com/pion/dtls/v3/pkg/protocol/handshake"
)

// A relay that is killed cannot tell its players; they find out by themselves after five seconds and more. So it seals each player's
// close_notify as soon as its connection is parked, and keeps it in a file (farewells.go). The next process that has the same addresses sends
// what it finds there, and players go elsewhere at once.
//
// What is kept is one sealed record each: no key. It has a sequence number that the connection never reaches, and it is sealed once for a session.

// farewellNumber is the sequence number of that record, far beyond those of records that are sent and below 2^48.
const farewellNumber = 1 << 47

// movedState is what a state of DTLS consists of on the way between processes, by the names that dtls.State gives its parts.
type movedState struct {
	RemoteSequenceNumber  uint64
	HandshakeComplete     bool
	LocalEpoch            uint16
	RemoteEpoch           uint16
	LocalRandom           [handshake.RandomLength]byte
	RemoteRandom          [handshake.RandomLength]byte
	CipherSuiteID         uint16
	MasterSecret          []byte
	SequenceNumber        uint64
	SRTPProtectionProfile uint16
	PeerCertificates      [][]byte
	IdentityHint          []byte
	SessionID             []byte
	LocalConnectionID     []byte
	RemoteConnectionID    []byte
	IsClient              bool
	NegotiatedProtocol    string
}

// sealFarewell gives the close_notify of a silent connection, sealed. The state can be used as before.
func sealFarewell(state *dtls.State, options ...dtls.Option) ([]byte, error) {
	text, err := state.MarshalBinary()
	if err != nil {
		return nil, fmt.Errorf("copying the state of a DTLS connection: %w", err)
	}
	var moved movedState
	if err := gob.NewDecoder(bytes.NewReader(text)).Decode(&moved); err != nil {
		return nil, fmt.Errorf("reading the state of a DTLS connection: %w", err)
	}
	moved.SequenceNumber = farewellNumber
	var b bytes.Buffer
	if err := gob.NewEncoder(&b).Encode(moved); err != nil {
		return nil, fmt.Errorf("copying the state of a DTLS connection: %w", err)
	}
	var ahead dtls.State
	if err := ahead.UnmarshalBinary(b.Bytes()); err != nil {
		return nil, fmt.Errorf("copying the state of a DTLS connection: %w", err)
	}
	w := &recorder{done: make(chan struct{})}
	conn, err := dtls.ResumeWithOptions(&ahead, w, w.LocalAddr(), options...)
	if err != nil {
		return nil, fmt.Errorf("sealing a close_notify: %w", err)
	}
	if err := conn.HandshakeContext(context.Background()); err != nil { // there is none to make
		return nil, fmt.Errorf("sealing a close_notify: %w", err)
	}
	_ = conn.Close() // what it sends is recorded
	if len(w.sent) != 1 {
		return nil, fmt.Errorf("sealing a close_notify: DTLS sent %d records, want 1", len(w.sent))
	}
	return w.sent[0], nil
}

// recorder is a net.PacketConn on which nothing comes, and that keeps what is sent.
type recorder struct {
	sent [][]byte
	done chan struct{}
}

func (r *recorder) ReadFrom([]byte) (int, net.Addr, error) {
	<-r.done
	return 0, nil, io.EOF
}

func (r *recorder) WriteTo(b []byte, _ net.Addr) (int, error) {
	r.sent = append(r.sent, append([]byte(nil), b...))
	return len(b), nil
}

func (r *recorder) Close() error {
	select {
	case <-r.done:
		return os.ErrClosed
	default:
		close(r.done)
	}
	return nil
}

func (r *recorder) LocalAddr() net.Addr              { return &net.UDPAddr{} }
func (r *recorder) SetDeadline(time.Time) error      { return nil }
func (r *recorder) SetReadDeadline(time.Time) error  { return nil }
func (r *recorder) SetWriteDeadline(time.Time) error { return nil }
