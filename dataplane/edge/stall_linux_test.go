package edge

import (
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http/httptest"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/millrace/millrace/internal/testkit"
)

// throttled reads little at a time until it is let go.
type throttled struct {
	net.Conn
	free chan struct{}
}

func (c *throttled) Read(b []byte) (int, error) {
	select {
	case <-c.free:
	case <-time.After(100 * time.Millisecond):
		b = b[:min(len(b), 1000)]
	}
	return c.Conn.Read(b)
}

// dialThrottled asks for the stream, with a small window and small segments, so that what is read is acknowledged
// little by little, as on a real path.
func (r *rig) dialThrottled(web *httptest.Server) (io.Reader, *throttled) {
	r.t.Helper()
	d := net.Dialer{Control: func(_, _ string, raw syscall.RawConn) error {
		var small, short error
		err := raw.Control(func(fd uintptr) {
			small = unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_RCVBUF, 16<<10)
			short = unix.SetsockoptInt(int(fd), unix.IPPROTO_TCP, unix.TCP_MAXSEG, 1000)
		})
		return errors.Join(err, small, short)
	}}
	raw, err := d.DialContext(r.t.Context(), "tcp", web.Listener.Addr().String())
	if err != nil {
		r.t.Fatal(err)
	}
	r.t.Cleanup(func() { raw.Close() })
	c := &throttled{Conn: raw, free: make(chan struct{})}
	var conn net.Conn = c
	if web == r.secure {
		conn = tls.Client(c, &tls.Config{InsecureSkipVerify: true}) // the test's own certificate
	}
	if _, err := fmt.Fprintf(conn, "GET /live/stream.flv HTTP/1.1\r\nHost: %s\r\n\r\n", playHost); err != nil {
		r.t.Fatal(err)
	}
	return conn, c
}

// die makes a connection one of a machine that has gone: what comes is dropped before TCP sees it.
func (c *throttled) die(t *testing.T) {
	t.Helper()
	raw, err := c.Conn.(*net.TCPConn).SyscallConn() //nolint:forcetypeassert // it was dialled as TCP
	if err != nil {
		t.Fatal(err)
	}
	drop := []unix.SockFilter{{Code: unix.BPF_RET | unix.BPF_K}}
	var failed error
	err = raw.Control(func(fd uintptr) {
		failed = unix.SetsockoptSockFprog(
			int(fd),
			unix.SOL_SOCKET,
			unix.SO_ATTACH_FILTER,
			&unix.SockFprog{Len: 1, Filter: &drop[0]},
		)
	})
	if err := errors.Join(err, failed); err != nil {
		t.Fatal(err)
	}
}

// A reader that takes little keeps one write waiting for much longer than one may that has gone without a word, and
// stays: it is moved to the newest key frame when that write is through, which is counted. One that is gone is ended
// soon, one that answers and reads nothing after a while. TLS makes no difference.
func TestSlowPausedAndDeadReaders(t *testing.T) {
	for _, secure := range []bool{false, true} {
		t.Run(fmt.Sprintf("secure %v", secure), func(t *testing.T) {
			t.Parallel()
			r := newRig(t, func(o *Options) { o.MaxBacklog, o.StallTime = 2*time.Second, 3*time.Second })
			s := r.source()
			s.size = 200_000 // takes the slow reader 20 s
			s.gop(5)
			web := r.web
			if secure {
				web = r.secure
			}
			viewer := func(c *throttled) *ViewerInfo {
				for _, v := range r.edge.List() {
					if v.Remote == c.LocalAddr().String() {
						return &v
					}
				}
				return nil
			}
			// Small frames from here on: only what the readers begin with is more than a connection holds.
			live := func() {
				s.size = 1000
				s.gop(5)
			}
			stream, slow := r.dialThrottled(web)
			taken := make(chan error, 1)
			go func() {
				_, err := io.Copy(io.Discard, stream)
				taken <- err
			}()
			_, paused := r.dialThrottled(web)
			testkit.Eventually(t, "the first two viewers", func() bool { return viewer(slow) != nil && viewer(paused) != nil })
			gone, dead := r.dialThrottled(web)
			if _, err := io.ReadFull(gone, make([]byte, 10)); err != nil {
				t.Fatal(err)
			}
			dead.die(t)

			testkit.Eventually(t, "the end of the dead reader", func() bool { live(); return viewer(dead) == nil })
			if viewer(paused) == nil {
				t.Error("the paused reader was ended as soon as the dead one")
			}
			testkit.Eventually(t, "the end of the paused reader", func() bool { live(); return viewer(paused) == nil })
			if viewer(slow) == nil {
				t.Fatal("the slow reader was ended")
			}
			close(slow.free)
			testkit.Eventually(t, "the slow reader to be moved to the live edge", func() bool {
				live()
				v := viewer(slow)
				return v != nil && v.Skipped > 0 && v.BacklogMs < 2000
			})
			s.pub.End()
			select {
			case err := <-taken:
				if err != nil {
					t.Errorf("the end of the slow reader: %v", err)
				}
			case <-time.After(testkit.Patience()):
				t.Error("the slow reader does not see the end of the stream")
			}
		})
	}
}
