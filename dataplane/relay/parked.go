package relay

import (
	"time"

	"github.com/pion/dtls/v3"
	"github.com/pion/dtls/v3/pkg/protocol/alert"
)

// A DTLS connection has goroutines and buffers that only wait for close_notify. Once the player has sent authenticated
// RTCP it has finished the handshake, so nothing of it will be asked for again: the connection is parked, which leaves
// the keys of its records alone. With them the player's alert is opened, and our own sealed.
//
// Two that seal different records under one number would use a nonce twice. So a connection is silenced before its keys
// are taken.

// settled says that the player has finished its handshake.
func (t *dtlsTransport) settled() {
	if t.settling.CompareAndSwap(false, true) {
		go t.park()
	}
}

// park ends the connection without a word to the player and keeps its keys; not while there is something to deal with,
// then the next settled tries again. The connection's end is waited for without the lock, for its own goroutines may be
// about to send.
func (t *dtlsTransport) park() {
	defer t.s.relay.survive("DTLS parking", func() { t.s.close("panic", nil) })
	conn := t.silence()
	if conn == nil {
		t.settling.Store(false)
		return
	}
	_ = conn.Close()
	keys, err := t.takeKeys(conn)
	if err != nil {
		t.s.relay.log.V(1).
			Info("A player's last word will not be understood, and it will get none", "session", t.s.id[:8], "error",
				err.Error())
		return // consent will end the session
	}
	t.mu.Lock()
	t.keys = keys
	missed := t.missed
	t.missed = nil
	if missed != nil {
		t.hear(missed)
	}
	last := t.last
	t.mu.Unlock()
	if last != noWord {
		t.say(last)
	}
}

// takeKeys returns the keys of a silent connection, and keeps the player's farewell.
func (t *dtlsTransport) takeKeys(conn *dtls.Conn) (*recordKeys, error) {
	state, ok := conn.ConnectionState()
	if !ok {
		return nil, errNoState
	}
	keys, err := keysOf(&state)
	if err != nil || t.s.relay.farewell == nil {
		return keys, err
	}
	record, err := keys.seal(comeAgain, farewellNumber)
	if err == nil {
		t.s.keepFarewell(record)
	}
	return keys, err
}

// silence takes the connection away if there is nothing to deal with. Nothing of it is sent any more.
func (t *dtlsTransport) silence() *dtls.Conn {
	t.mu.Lock()
	defer t.mu.Unlock()
	conn := t.conn
	if t.last != noWord || conn == nil || !t.established.Load() || !t.link.retire() {
		return nil
	}
	t.conn = nil
	return conn
}

// hear ends the session when a record is the player's last alert: close_notify or a fatal one. Anybody can send what
// looks like one; it does not open then. The lock is held, and bytes of the record are overwritten.
func (t *dtlsTransport) hear(record []byte) {
	if a, err := t.keys.open(record); err == nil && (a.Level == alert.Fatal || a.Description == alert.CloseNotify) {
		t.left()
	}
}

// A player that misses its last word waits for five seconds and more until it knows. So that is sent again, after these
// times.
const (
	sayAgain  = 50 * time.Millisecond
	sayOnce   = 150 * time.Millisecond // after the second time
	sayWithin = sayAgain + sayOnce
)

// say sends the last word to a player whose connection is parked.
func (t *dtlsTransport) say(w lastWord) {
	number := uint64(farewellNumber) // under which comeAgain alone is sealed
	if w != comeAgain {
		number = t.keys.number
	}
	record, err := t.keys.seal(w, number)
	if err != nil {
		t.s.relay.log.V(1).Info("A player was not told the end", "session", t.s.id[:8], "error", err.Error())
		return
	}
	t.s.mu.Lock()
	path := t.s.path
	t.s.mu.Unlock()
	path.send(record)
	if path.tcp != nil {
		return
	}
	time.AfterFunc(sayAgain, func() {
		path.send(record)
		time.AfterFunc(sayOnce, func() { path.send(record) })
	})
}

// close tells the player the end, in one of the two ways, and ends the connection. A connection that is not parked says
// close_notify.
func (t *dtlsTransport) close(w lastWord) {
	t.mu.Lock()
	t.last = w
	conn, link, keys := t.conn, t.link, t.keys
	t.mu.Unlock()
	if conn != nil {
		_ = conn.Close()
	}
	if keys != nil {
		t.say(w)
	}
	link.once.Do(func() { close(link.done) })
}
