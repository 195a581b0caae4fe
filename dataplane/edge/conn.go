package edge

import (
	"bytes"
	"crypto/tls"
	"errors"
	"net"
	"os"
	"sync/atomic"
	"time"
)

// The causes for which a connection is ended.
var (
	errStalled = errors.New("the connection took nothing for a while")
	errLeft    = errors.New("the player left")
)

// endTimeout bounds the time for writing the end of a connection: what its protocol sends last.
const endTimeout = time.Second

// outlet writes shared memory to a connection: vectored where the kernel takes it, joined into one record where TLS
// does not. A write has no deadline of its own, since a timer for each would cost as much as all else around the system
// call; who takes nothing is found by stalled.
type outlet struct {
	conn    net.Conn
	vectors net.Buffers // reused
	rest    net.Buffers // what WriteTo moves through
	secure  bool

	partial bool // a write ended in the middle: an end would be taken for media
	aborted atomic.Bool
	writes  atomic.Uint64 // begun and ended ones: odd while one waits
	watch   stallWatch
}

func newOutlet(conn net.Conn) *outlet {
	_, secure := conn.(*tls.Conn)
	o := &outlet{conn: conn, secure: secure}
	_ = conn.SetWriteDeadline(time.Time{}) // of what was said before
	boundUnsent(conn)
	return o
}

// add queues memory for flush.
func (o *outlet) add(pieces ...[]byte) { o.vectors = append(o.vectors, pieces...) }

// flush writes what was queued, and takes the time that the connection needs, until it is aborted.
func (o *outlet) flush() error {
	o.writes.Add(1)
	err := errStalled
	if !o.aborted.Load() {
		err = o.write()
	}
	o.writes.Add(1)
	clear(o.vectors[:cap(o.vectors)])
	o.vectors = o.vectors[:0]
	return err
}

func (o *outlet) write() error {
	var err error
	if o.secure {
		_, err = o.conn.Write(bytes.Join(o.vectors, nil)) // so that many small pieces become few TLS records
	} else {
		o.rest = o.vectors
		_, err = o.rest.WriteTo(o.conn)
	}
	o.partial = err != nil
	if errors.Is(err, os.ErrDeadlineExceeded) {
		return errStalled
	}
	return err
}

// abort ends a waiting write soon, and lets no further one begin.
func (o *outlet) abort() {
	o.aborted.Store(true)
	_ = o.conn.SetWriteDeadline(time.Now().Add(endTimeout))
}

// writeEnd writes what a protocol sends last, within endTimeout. It ignores errors: the player may be gone.
func (o *outlet) writeEnd(b []byte) {
	if o.partial {
		return
	}
	_ = o.conn.SetWriteDeadline(time.Now().Add(endTimeout))
	_, _ = o.conn.Write(b)
}
