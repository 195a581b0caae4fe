package edge

import (
	"bytes"
	"crypto/tls"
	"errors"
	"net"
	"os"
	"sync"
	"time"
)

// errStalled: a connection took nothing for stallTime.
var (
	errStalled = errors.New("the connection took nothing for a while")
	errLeft    = errors.New("the player left")
)

// stallTime is how long a connection may take nothing at all before its viewer is ended.
const stallTime = 10 * time.Second

// farewell is how long the last words may take.
const farewell = time.Second

// outlet writes shared memory to a connection: vectored where the kernel takes it, joined into one record where TLS does not.
type outlet struct {
	conn    net.Conn
	vectors net.Buffers // reused
	secure  bool

	partial bool // a write ended in the middle: last words would be taken for media

	mu      sync.Mutex
	aborted bool
}

func newOutlet(conn net.Conn) *outlet {
	_, secure := conn.(*tls.Conn)
	o := &outlet{conn: conn, secure: secure}
	boundUnsent(conn)
	return o
}

// add queues memory for flush.
func (o *outlet) add(pieces ...[]byte) { o.vectors = append(o.vectors, pieces...) }

// flush writes what was queued. As long as the connection takes something, it may take its time.
func (o *outlet) flush() error {
	defer func() {
		clear(o.vectors[:cap(o.vectors)])
		o.vectors = o.vectors[:0]
	}()
	if o.secure {
		return o.flushJoined()
	}
	rest := o.vectors // WriteTo moves through a copy of the header, so that the memory is used again
	for {
		if err := o.arm(stallTime); err != nil {
			return err
		}
		n, err := rest.WriteTo(o.conn)
		switch {
		case err == nil:
			return nil
		case !errors.Is(err, os.ErrDeadlineExceeded):
			o.partial = true
			return err
		case n == 0 || o.isAborted():
			o.partial = true
			return errStalled
		}
	}
}

// flushJoined writes one buffer, so that many small pieces become few TLS records. A TLS connection is broken after a time-out.
func (o *outlet) flushJoined() error {
	b := bytes.Join(o.vectors, nil)
	for len(b) > 0 {
		if err := o.arm(stallTime); err != nil {
			return err
		}
		n, err := o.conn.Write(b[:min(len(b), 64<<10)])
		o.partial = err != nil
		if errors.Is(err, os.ErrDeadlineExceeded) {
			return errStalled
		}
		if err != nil {
			return err
		}
		b = b[n:]
	}
	return nil
}

// arm sets the time that the next write has, unless the connection was aborted.
func (o *outlet) arm(d time.Duration) error {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.aborted {
		return errStalled
	}
	return o.conn.SetWriteDeadline(time.Now().Add(d))
}

func (o *outlet) isAborted() bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.aborted
}

// abort ends a waiting write soon, and lets no further one begin.
func (o *outlet) abort() {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.aborted = true
	_ = o.conn.SetWriteDeadline(time.Now().Add(farewell))
}

// last writes last words, within farewell.
func (o *outlet) last(b []byte) {
	if o.partial {
		return
	}
	o.mu.Lock()
	_ = o.conn.SetWriteDeadline(time.Now().Add(farewell))
	o.mu.Unlock()
	_, _ = o.conn.Write(b) // whoever is gone does not hear it
}
