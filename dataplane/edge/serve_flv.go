package edge

import (
	"bufio"
	"fmt"
	"math"
	"net"
	"net/http"
	"runtime/debug"
	"strings"
	"time"

	"github.com/millrace/millrace/dataplane/door"
)

// serveFLV answers with a stream of tags that ends with the stream. Over HTTP/1.1 the connection is taken over, so that
// tags are written from shared memory without a copy and a viewer costs one small goroutine; over HTTP/2 the request's
// goroutine writes.
func (e *Edge) serveFLV(w http.ResponseWriter, req *http.Request, a *door.Ask) {
	if !allowed(w, req) {
		return
	}
	socket := websocketKey(req)
	kind := "flv"
	if socket != "" {
		kind = "ws-flv"
	}
	a.Suffix = ".flv"
	pass, no := e.door.Enter(req.Context(), a)
	if no != nil {
		e.metrics.joins.WithLabelValues(kind, no.Reason).Inc()
		refuse(w, no)
		return
	}
	h := w.Header()
	h.Set("Content-Type", "video/x-flv")
	h.Set("Cache-Control", "no-cache, no-store")
	h.Set("X-Accel-Buffering", "no")
	if req.Method == http.MethodHead {
		w.WriteHeader(http.StatusOK)
		return
	}
	v := &viewer{
		edge: e, pass: pass, stream: pass.Stream.Key.String(), remote: remote(req), kind: kind, since: time.Now(),
		end: make(chan struct{}),
	}
	control := http.NewResponseController(w)
	conn, buffered, err := control.Hijack()
	if err != nil {
		if socket != "" {
			pass.Leave()
			refuse(w, door.Refuse(door.NoWebSocket))
			return
		}
		_ = control.SetWriteDeadline(time.Time{}) // the server's own deadline is for short answers
		_ = control.SetReadDeadline(time.Time{})
		v.sink = &responseSink{w: w, control: control, limit: 2 * e.opt.StallTime}
		w.WriteHeader(http.StatusOK)
		e.start(v, func() { v.run() }, func() {})
		return
	}
	_ = conn.SetDeadline(time.Time{})
	out := newOutlet(conn)
	if socket != "" {
		s := &socketSink{outlet: out, head: socketAnswer(socket, h)}
		v.sink = s
		e.start(v, func() {
			go listenSocket(buffered.Reader, v)
			go e.guarded(v, conn)
		}, func() { _ = conn.Close() })
		return
	}
	v.sink = &flvSink{outlet: out, head: flvAnswer(h, req.ProtoAtLeast(1, 1)), chunked: req.ProtoAtLeast(1, 1)}
	e.start(v, func() { go e.guarded(v, conn) }, func() { _ = conn.Close() })
}

// start counts a viewer in and runs it; refuse is for an edge that closes.
func (e *Edge) start(v *viewer, run, refused func()) {
	v.feed = e.feeds.open(v.pass.Stream)
	v.at.Store(math.MaxInt64) // nothing is owed to it yet
	if !e.enter(v) {
		v.pass.Leave()
		e.feeds.close(v.feed)
		refused()
		return
	}
	e.metrics.joins.WithLabelValues(v.kind, "answered").Inc()
	// A Plan that came in between may have taken the right away again.
	if err := e.opt.Plan.Load().MayKeepPlaying(v.pass.Right); err != nil {
		v.stopWith(err)
	}
	run()
}

// guarded runs a viewer on a connection of its own. A panic ends this viewer only.
func (e *Edge) guarded(v *viewer, conn net.Conn) {
	defer func() {
		_ = conn.Close()
		if p := recover(); p != nil {
			e.metrics.panics.Inc()
			e.log.Error(fmt.Errorf("panic: %v", p), "A viewer ended in a panic", "Stack", string(debug.Stack()))
			e.leave(v, fmt.Errorf("panic: %v", p))
		}
	}()
	v.run()
}

// flvAnswer is the head of the answer. It is never compressed, whatever the player accepts.
func flvAnswer(h http.Header, chunked bool) []byte {
	var b strings.Builder
	if chunked {
		b.WriteString("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n")
	} else {
		b.WriteString("HTTP/1.0 200 OK\r\n")
	}
	b.WriteString("Connection: close\r\nDate: " + time.Now().UTC().Format(http.TimeFormat) + "\r\n")
	_ = h.Write(&b) // into memory
	b.WriteString("\r\n")
	return []byte(b.String())
}

// listenSocket reads what a WebSocket player says, until it leaves.
func listenSocket(r *bufio.Reader, v *viewer) {
	_ = readSocket(r, v)
	v.stopWith(errLeft)
}
