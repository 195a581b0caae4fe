package secure

import (
	"context"
	"io"
	"net"
	"os"
	"sync"
	"time"
)

const queue = 32 // records that wait to be read; more are dropped, as UDP would

// link makes a net.PacketConn of a session's path, for one DTLS connection.
type link struct {
	t    *Transport
	in   chan []byte
	done chan struct{}
	once sync.Once

	mu       sync.Mutex
	deadline time.Time
	changed  chan struct{} // closed when the deadline changes
	pending  int           // records that DTLS has not dealt with: those of in, and the one that it was given last
	given    bool          // it was given one
	retired  bool          // nothing is sent any more, and nothing comes in
	leave    func()        // gives the place at the gate back; nil: there is none
	fresh    bool          // no record has been given since the place was taken
}

func newLink(t *Transport) *link {
	return &link{t: t, in: make(chan []byte, queue), done: make(chan struct{}), changed: make(chan struct{})}
}

// deliver returns DTLS a record; the bytes are copied.
func (l *link) deliver(b []byte) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(b) > 0 && len(l.in) < cap(l.in) && !l.retired {
		l.pending++
		l.in <- append([]byte(nil), b...)
	}
}

// retire makes the link end without a word, unless DTLS has still records to deal with: one may be the player's
// close_notify.
func (l *link) retire() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.retired = l.retired || l.pending == 0
	return l.retired
}

func (l *link) isRetired() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.retired
}

// take counts a record that DTLS is given. It asks for the next one when it has dealt with the last.
func (l *link) take(given bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.given {
		l.pending--
	}
	l.given = given
}

// enter waits for a place at the gate, in exchange for the one that the link has. While there is a place, DTLS deals
// with one record; it ends with the flight that answers it.
func (l *link) enter(ctx context.Context) error {
	l.freePlace()
	leave, err := l.t.cfg.Gate.Enter(ctx, l.t.cfg.From, l.done)
	if err != nil {
		return err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.leave, l.fresh = leave, true
	return nil
}

// freePlace leaves the place at the gate to others.
func (l *link) freePlace() {
	l.mu.Lock()
	leave := l.leave
	l.leave, l.fresh = nil, false
	l.mu.Unlock()
	if leave != nil {
		leave()
	}
}

const recordHandshake = 22 // content type (RFC 5246, 6.2.1); no other record costs CPU worth a place

// inTurn waits until the record may be dealt with.
func (l *link) inTurn(record []byte) error {
	if l.t.established.Load() || record[0] != recordHandshake {
		return nil
	}
	l.mu.Lock()
	fresh := l.fresh
	l.fresh = false
	l.mu.Unlock()
	if fresh {
		return nil
	}
	return l.enter(context.Background())
}

// ReadFrom returns DTLS the next record.
func (l *link) ReadFrom(b []byte) (int, net.Addr, error) {
	l.take(false)
	for {
		l.mu.Lock()
		deadline, changed := l.deadline, l.changed
		l.mu.Unlock()
		var expired <-chan time.Time
		if !deadline.IsZero() {
			timer := time.NewTimer(time.Until(deadline))
			defer timer.Stop()
			expired = timer.C
		}
		select {
		case p := <-l.in:
			if l.inTurn(p) != nil {
				return 0, nil, io.EOF
			}
			l.take(true)
			return copy(b, p), l.t.cfg.Remote, nil
		case <-l.done:
			return 0, nil, io.EOF
		case <-expired:
			return 0, nil, os.ErrDeadlineExceeded
		case <-changed:
		}
	}
}

// WriteTo sends a record on the session's path.
func (l *link) WriteTo(b []byte, _ net.Addr) (int, error) {
	l.freePlace()
	if !l.isRetired() {
		l.t.session.Send(b)
	}
	return len(b), nil
}

// Close ends reading. DTLS calls it when the player has sent close_notify or a fatal alert, and when it is closed here.
func (l *link) Close() error {
	l.once.Do(func() { close(l.done) })
	if l.t.established.Load() && !l.isRetired() {
		l.t.session.Left()
	}
	return nil
}

// LocalAddr is not needed by DTLS.
func (l *link) LocalAddr() net.Addr { return &net.UDPAddr{} }

// RemoteAddr is the player's address.
func (l *link) RemoteAddr() net.Addr { return l.t.cfg.Remote }

// SetDeadline sets the read deadline; writes never wait.
func (l *link) SetDeadline(at time.Time) error { return l.SetReadDeadline(at) }

// SetWriteDeadline does nothing: writes never wait.
func (l *link) SetWriteDeadline(time.Time) error { return nil }

// SetReadDeadline sets when a waiting ReadFrom gives up.
func (l *link) SetReadDeadline(at time.Time) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.deadline = at
	close(l.changed)
	l.changed = make(chan struct{})
	return nil
}
