package relay

import (
	"context"
	"encoding/binary"
	"fmt"
	"time"

	"github.com/pion/dtls/v3"
)

// A DTLS connection has goroutines and buffers that only wait for close_notify. Once the player has sent authenticated RTCP it has
// finished the handshake, so nothing of it will be asked for again: the connection is parked, which leaves its state alone. It is taken up again for an
// alert that comes in, and for our own close_notify.
//
// A state may be used once, by one connection at a time (dtls.ResumeWithOptions): two would seal different records with one nonce. So a
// connection is silenced before its state is taken, and the state is gone when a connection has it.

const (
	contentTypeAlert = 21              // RFC 5246, 6.2.1
	stayUp           = 2 * time.Second // for which a connection that was taken up is not parked: anybody can send what looks like an alert
)

// settled says that the player has finished its handshake.
func (t *dtlsTransport) settled() {
	if t.settling.CompareAndSwap(false, true) {
		go t.park()
	}
}

// park ends the connection without a word to the player and keeps its state; not while there is something to deal with, then the next
// settled tries again. The connection's end is waited for without the lock, for its own goroutines may be about to send.
func (t *dtlsTransport) park() {
	defer t.s.relay.survive("DTLS parking", func() { t.s.close("panic", nil) })
	conn := t.silence()
	if conn == nil {
		t.settling.Store(false)
		return
	}
	_ = conn.Close()
	state, ok := conn.ConnectionState()
	state.PeerCertificates = nil // compared with the offer; a kilobyte
	if ok && t.s.relay.farewell != nil {
		t.seal(&state)
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if !ok {
		return // consent will end the session
	}
	t.state = &state
	missed := t.missed
	t.missed = nil
	switch {
	case t.closed:
		go t.close()
	case missed != nil:
		t.resume(missed)
	}
}

// seal keeps the player's farewell, once: it stays good when the connection is taken up and parked again. The connection is silent, and nobody
// else has its state.
func (t *dtlsTransport) seal(state *dtls.State) {
	if t.s.hasFarewell() {
		return
	}
	record, err := sealFarewell(state, dtls.WithCertificates(t.s.relay.identity.certificate))
	if err != nil {
		t.s.relay.log.V(1).Info("A player will not be told when this process is killed", "session", t.s.id[:8], "error", err.Error())
		return
	}
	t.s.keepFarewell(record)
}

// silence takes the connection away if there is nothing to deal with. Nothing of it is sent any more.
func (t *dtlsTransport) silence() *dtls.Conn {
	t.mu.Lock()
	defer t.mu.Unlock()
	conn := t.conn
	if t.closed || conn == nil || !t.established.Load() || time.Since(t.resumed) < stayUp || !t.link.retire() {
		return nil
	}
	t.conn = nil
	return conn
}

// resume takes a parked connection up again for a record, if that can be an alert under the keys of the handshake.
func (t *dtlsTransport) resume(record []byte) {
	const header = 13 // type, version, epoch, sequence number, length (RFC 6347, 4.1)
	if len(record) < header || record[0] != contentTypeAlert || binary.BigEndian.Uint16(record[3:]) != 1 {
		return
	}
	t.resumed = time.Now()
	if t.takeUp() != nil {
		return
	}
	t.link.deliver(record)
	t.settling.Store(false)
}

// takeUp makes a connection of the state, which nobody can use again.
func (t *dtlsTransport) takeUp() error {
	state := t.state
	t.state, t.link = nil, newDTLSLink(t)
	conn, err := dtls.ResumeWithOptions(state, t.link, t.remote, dtls.WithCertificates(t.s.relay.identity.certificate))
	if err != nil {
		return fmt.Errorf("taking a DTLS connection up again: %w", err)
	}
	t.conn = conn
	if err := conn.HandshakeContext(context.Background()); err != nil { // there is none to make: it starts reading
		return fmt.Errorf("starting a DTLS connection again: %w", err)
	}
	return nil
}

// close sends close_notify and ends the connection.
func (t *dtlsTransport) close() {
	t.mu.Lock()
	t.closed = true
	if t.state != nil {
		_ = t.takeUp()
	}
	conn, link := t.conn, t.link
	t.mu.Unlock()
	if conn != nil {
		_ = conn.Close()
	}
	link.once.Do(func() { close(link.done) })
}
