package secure

import (
	"context"
	"errors"
	"io"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"github.com/go-logr/logr"
	"github.com/pion/dtls/v3"
)

// Session is what a transport needs of the session that it belongs to.
type Session interface {
	// Send sends a record to where the viewer is now; like UDP it may lose it.
	Send(record []byte)
	// Path returns a function that sends to where the viewer is now, wherever it goes later, and whether what is sent
	// arrives once (TCP).
	Path() (send func(record []byte), reliable bool)
	// Start begins media after the handshake.
	Start(keys Keys) error
	// Failed says that the handshake, or Start, failed.
	Failed(err error)
	// Left says that the viewer has ended the connection. It does not wait.
	Left()
	// KeepNotice is given the sealed record of JoinAgain, for the case that this process is killed.
	KeepNotice(record []byte)
	// Survive is deferred: it ends the session alone after a panic.
	Survive(where string)
}

// Config makes a transport. All fields are needed.
type Config struct {
	Identity    *Identity
	Gate        *Gate
	From        netip.Prefix // the range of addresses that counts as this viewer's at the gate
	Fingerprint string       // of the viewer's certificate, from its offer: "sha-256 AB:CD:..."
	Remote      net.Addr     // the viewer's address at the beginning
	Timeout     time.Duration
	Log         logr.Logger
}

// Transport runs DTLS for a session over the session's path: the handshake first, then the viewer's close_notify. Once
// the viewer is known to have finished the handshake too, nothing of it is kept but its keys (parked.go). It is safe
// for concurrent use.
type Transport struct {
	cfg     Config
	session Session

	established atomic.Bool // the handshake is over and media is sent
	reading     atomic.Bool // read is at work
	settling    atomic.Bool // park is at work, or done

	mu     sync.Mutex
	link   *link // of conn
	conn   *dtls.Conn
	keys   *recordKeys // of a connection that is parked; then conn is nil
	missed []byte      // the record that came while it was being parked
	last   Notice      // of ours: the connection is closed
}

var errNoState = errors.New("DTLS has no connection state after its handshake")

const (
	readFor   = 100 * time.Millisecond // for what read waits for what a record brings
	maxRecord = 2048                   // bytes of a datagram that are read
)

// New makes the transport of a session. Run makes its handshake.
func New(cfg Config, session Session) *Transport {
	t := &Transport{cfg: cfg, session: session}
	t.link = newLink(t)
	return t
}

// Parked reports whether nothing is kept of the connection but its keys.
func (t *Transport) Parked() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.keys != nil
}

// Deliver hands a record of the viewer over; the bytes are copied.
func (t *Transport) Deliver(b []byte) {
	if t.deliver(b) {
		t.session.Left()
	}
}

// deliver reports whether the record ends the connection.
func (t *Transport) deliver(b []byte) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	switch {
	case t.keys != nil && t.last == NoNotice:
		return t.endedBy(append([]byte(nil), b...))
	case t.conn == nil && t.established.Load() && t.last == NoNotice:
		t.missed = append([]byte(nil), b...)
		return false
	}
	t.link.deliver(b)
	if t.established.Load() && t.conn != nil && t.reading.CompareAndSwap(false, true) {
		go t.read(t.conn)
	}
	return false
}

// read takes what DTLS holds for a reader, which is nothing that we want: but DTLS takes in no more records, and so no
// close_notify, while something waits. It ends soon; the next record brings the next one.
func (t *Transport) read(conn *dtls.Conn) {
	defer t.session.Survive("DTLS reading")
	defer t.reading.Store(false)
	_ = conn.SetReadDeadline(time.Now().Add(readFor))
	var b [maxRecord]byte
	for range 2 * queue {
		var timeout net.Error
		if _, err := conn.Read(b[:]); errors.Is(err, io.EOF) || errors.As(err, &timeout) && timeout.Timeout() {
			return
		}
	}
}

// Run makes the handshake and starts media. The end of the connection is seen in the link's Close, so nothing of ours
// waits for it.
func (t *Transport) Run(ctx context.Context) {
	defer t.session.Survive("DTLS session")
	ctx, cancel := context.WithTimeout(ctx, t.cfg.Timeout)
	defer cancel()
	link := t.link // parked only after the handshake
	keys, err := t.handshakeInTurn(ctx, link)
	if err == nil {
		err = t.session.Start(keys)
	}
	if err != nil {
		t.session.Failed(err)
		return
	}
	t.established.Store(true)
	select {
	case <-link.done: // the viewer has left meanwhile
		t.session.Left()
	default:
	}
}
