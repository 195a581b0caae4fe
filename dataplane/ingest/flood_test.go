package ingest

import (
	"bytes"
	"errors"
	"io"
	"math/rand/v2"
	"net"
	"testing"
	"time"

	"github.com/bluenviron/gortmplib"
	"github.com/bluenviron/gortmplib/pkg/amf0"
	"github.com/bluenviron/gortmplib/pkg/bytecounter"
	"github.com/bluenviron/gortmplib/pkg/codecs"
	"github.com/bluenviron/gortmplib/pkg/handshake"
	"github.com/bluenviron/gortmplib/pkg/message"

	"github.com/millrace/millrace/dataplane/media"
	"github.com/millrace/millrace/internal/testkit"
)

// connect opens a bare TCP connection that ends with the test.
func (r *rig) connect() net.Conn {
	r.t.Helper()
	c, err := net.Dial("tcp", r.address)
	if err != nil {
		r.t.Fatal(err)
	}
	r.t.Cleanup(func() { _ = c.Close() })
	if err := c.SetDeadline(time.Now().Add(testkit.Patience())); err != nil {
		r.t.Fatal(err)
	}
	return c
}

// closed waits until the server closes a connection.
func closed(t *testing.T, c net.Conn) {
	t.Helper()
	_, err := io.Copy(io.Discard, c)
	var timeout net.Error
	if errors.As(err, &timeout) && timeout.Timeout() {
		t.Fatal("the server did not close the connection")
	}
}

func TestSilentConnectionsAreClosedInTime(t *testing.T) {
	r := newRig(t, nil, func(o *Options) { o.NegotiationTimeout = 100 * time.Millisecond })
	c := r.connect()
	closed(t, c)
	half := r.connect()
	_, _ = half.Write([]byte{3, 0, 0})
	closed(t, half)
	r.wait("both to be counted", func() bool { return r.count("millrace_ingest_refused_total", "timeout") == 2 })
	r.wait("both to be gone", func() bool { return r.count("millrace_ingest_connections", "") == 0 })
}

func TestPendingConnectionsOfAnAddressAreLimited(t *testing.T) {
	r := newRig(t, nil, func(o *Options) { o.MaxPendingPerAddress = 3 })
	// A connection that publishes is not pending any more.
	video := &gortmplib.Track{Codec: &codecs.H264{SPS: unhex(hexSPS), PPS: unhex(hexPPS)}}
	w := r.writer(r.mustDial("/live/good"), video)
	must(t, w.WriteH264(video, 0, 0, [][]byte{slice(h264IDR)}))
	r.stream("live", "good", media.Video)
	for range 3 {
		r.connect()
	}
	r.wait("the pending ones", func() bool { return r.count("millrace_ingest_connections", "") == 4 })
	closed(t, r.connect())
	if n := r.count("millrace_ingest_refused_total", "too_many_connections"); n != 1 {
		t.Errorf("%v refused", n)
	}
	must(t, w.WriteH264(video, time.Second, time.Second, [][]byte{slice(h264IDR)}))
}

func TestConnectionsAreLimited(t *testing.T) {
	for name, limit := range map[string]rigOption{
		"in all":      func(o *Options) { o.MaxConnections = 2 },
		"per address": func(o *Options) { o.MaxPerAddress = 2 },
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t, nil, limit)
			first := r.connect()
			r.connect()
			r.wait("both", func() bool { return r.count("millrace_ingest_connections", "") == 2 })
			closed(t, r.connect())
			_ = first.Close()
			r.wait("a place", func() bool { return r.count("millrace_ingest_connections", "") == 1 })
			if _, err := r.dial("/live/s"); err != nil {
				t.Errorf("with a free place: %v", err)
			}
		})
	}
}

// shake does the handshake and gives a writer of messages.
func shake(t *testing.T, c net.Conn) *message.Writer {
	t.Helper()
	bc := bytecounter.NewReadWriter(c)
	_, _, err := handshake.DoClient(bc, false, false)
	must(t, err)
	return message.NewWriter(bc, bc.Writer, false)
}

func TestWhatBreaksTheProtocolIsClosed(t *testing.T) {
	r := newRig(t, nil)
	connect := &message.CommandAMF0{
		ChunkStreamID: 3,
		Name:          "connect",
		CommandID:     1,
		Arguments:     []any{amf0.Object{{Key: "app", Value: "live"}}},
	}
	garbage := make([]byte, 64<<10)
	_, _ = rand.NewChaCha8([32]byte{}).Read(garbage) // never fails
	garbage[0] = 3
	for name, attack := range map[string]func(t *testing.T, c net.Conn){
		"HTTP":           func(_ *testing.T, c net.Conn) { _, _ = c.Write([]byte("GET / HTTP/1.1\r\nHost: x\r\n\r\n")) },
		"encrypted RTMP": func(_ *testing.T, c net.Conn) { _, _ = c.Write(append([]byte{6}, make([]byte, 1536)...)) },
		"garbage":        func(_ *testing.T, c net.Conn) { _, _ = c.Write(garbage) },
		"publish before connect": func(t *testing.T, c net.Conn) {
			_ = shake(t, c).Write(&message.CommandAMF0{ChunkStreamID: 3, Name: "publish", CommandID: 1,
				Arguments: []any{nil, "s"}})
		},
		"a huge command": func(t *testing.T, c net.Conn) {
			shake(t, c)
			_, _ = c.Write([]byte{3, 0, 0, 0, 0xFF, 0xFF, 0xFF, 20, 0, 0, 0, 0})
		},
		"a huge chunk size": func(t *testing.T, c net.Conn) { _ = shake(t, c).Write(&message.SetChunkSize{Value: 1 << 30}) },
		"a tiny chunk size": func(t *testing.T, c net.Conn) {
			shake(t, c)
			_, _ = c.Write([]byte{2, 0, 0, 0, 0, 0, 4, 1, 0, 0, 0, 0, 0, 0, 0, 0})
		},
		"an endless negotiation": func(t *testing.T, c net.Conn) {
			w := shake(t, c)
			for w.Write(connect) == nil {
			}
		},
		"many chunk streams": func(t *testing.T, c net.Conn) {
			shake(t, c)
			for id := byte(2); id < 64; id++ {
				if _, err := c.Write([]byte{id, 0, 0, 0, 0, 0, 200, 20, 0, 0, 0, 0}); err != nil {
					return
				}
				if _, err := c.Write(bytes.Repeat([]byte{5}, 128)); err != nil {
					return
				}
			}
		},
		"a deeply nested command": func(t *testing.T, c net.Conn) {
			w := shake(t, c)
			_ = w.Write(&message.SetChunkSize{Value: 65536})
			_, _ = c.Write([]byte{3, 0, 0, 0, 0, 0xFF, 0xFF, 20, 0, 0, 0, 0})
			_, _ = c.Write(bytes.Repeat([]byte{0x0A, 0, 0, 0, 1}, 13107))
		},
	} {
		t.Run(name, func(t *testing.T) {
			before := r.count("millrace_ingest_refused_total", "protocol_error")
			c := r.connect()
			attack(t, c)
			closed(t, c)
			r.wait(
				"the refusal to be counted",
				func() bool { return r.count("millrace_ingest_refused_total", "protocol_error") == before+1 },
			)
		})
	}
	if n := r.count("millrace_ingest_session_panics_total", ""); n != 0 {
		t.Errorf("%v panics", n)
	}
	if _, err := r.dial("/live/s"); err != nil {
		t.Errorf("after the attacks: %v", err)
	}
}
