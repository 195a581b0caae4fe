package secure

import (
	"time"

	"github.com/pion/dtls/v3"
	"github.com/pion/dtls/v3/pkg/protocol/alert"

	"github.com/millrace/millrace/dataplane/relay/closenotice"
)

// A DTLS connection has goroutines and buffers that only wait for close_notify. Once the viewer has sent authenticated
// RTCP it has finished the handshake, so nothing of it will be asked for again: the connection is parked, which leaves
// the keys of its records alone. With them the viewer's alert is opened, and our own sealed.
//
// Two that seal different records under one number would use a nonce twice. So a connection is silenced before its keys
// are taken.

// Settled says that the viewer has finished its handshake: it has sent authenticated RTCP.
func (t *Transport) Settled() {
	if t.settling.CompareAndSwap(false, true) {
		go t.park()
	}
}

// park ends the connection without a word to the viewer and keeps its keys; not while there is something to deal with,
// then the next settled tries again. The connection's end is waited for without the lock, for its own goroutines may be
// about to send.
func (t *Transport) park() {
	defer t.session.Survive("DTLS parking")
	conn := t.silence()
	if conn == nil {
		t.settling.Store(false)
		return
	}
	_ = conn.Close()
	keys, err := t.takeKeys(conn)
	if err != nil {
		t.cfg.Log.V(1).Info("A viewer's close notice will not be understood, and it will get none", "error", err.Error())
		return // consent will end the session
	}
	t.mu.Lock()
	t.keys = keys
	missed := t.missed
	t.missed = nil
	left := missed != nil && t.endedBy(missed)
	last := t.last
	t.mu.Unlock()
	if left {
		t.session.Left()
	}
	if last != NoNotice {
		t.send(last)
	}
}

// takeKeys returns the keys of a silent connection, and has the viewer's close notice kept.
func (t *Transport) takeKeys(conn *dtls.Conn) (*recordKeys, error) {
	state, ok := conn.ConnectionState()
	if !ok {
		return nil, errNoState
	}
	keys, err := keysOf(&state)
	if err != nil {
		return keys, err
	}
	record, err := keys.seal(JoinAgain, closenotice.Number)
	if err == nil {
		t.session.KeepNotice(record)
	}
	return keys, err
}

// silence takes the connection away if there is nothing to deal with. Nothing of it is sent any more.
func (t *Transport) silence() *dtls.Conn {
	t.mu.Lock()
	defer t.mu.Unlock()
	conn := t.conn
	if t.last != NoNotice || conn == nil || !t.established.Load() || !t.link.retire() {
		return nil
	}
	t.conn = nil
	return conn
}

// endedBy reports whether a record is the viewer's last alert: close_notify or a fatal one. Anybody can send what looks
// like one; it does not open then. The lock is held, and bytes of the record are overwritten.
func (t *Transport) endedBy(record []byte) bool {
	a, err := t.keys.open(record)
	return err == nil && (a.Level == alert.Fatal || a.Description == alert.CloseNotify)
}

// send sends the close notice to a viewer whose connection is parked; over UDP three times.
func (t *Transport) send(n Notice) {
	number := uint64(closenotice.Number) // under which JoinAgain alone is sealed
	if n != JoinAgain {
		number = t.keys.number
	}
	record, err := t.keys.seal(n, number)
	if err != nil {
		t.cfg.Log.V(1).Info("A viewer was not told the end", "error", err.Error())
		return
	}
	send, reliable := t.session.Path()
	send(record)
	if reliable {
		return
	}
	time.AfterFunc(closenotice.ResendAfter, func() {
		send(record)
		time.AfterFunc(closenotice.ResendLast, func() { send(record) })
	})
}

// Close sends the viewer a close notice and ends the connection. A connection that is not parked says close_notify. It
// is called once.
func (t *Transport) Close(n Notice) {
	t.mu.Lock()
	t.last = n
	conn, link, keys := t.conn, t.link, t.keys
	t.mu.Unlock()
	if conn != nil {
		_ = conn.Close()
	}
	if keys != nil {
		t.send(n)
	}
	link.once.Do(func() { close(link.done) })
}
