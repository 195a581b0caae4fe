package pull

import (
	"context"
	"errors"

	"github.com/bluenviron/gortsplib/v4"
	"github.com/bluenviron/gortsplib/v4/pkg/base"

	"github.com/millrace/millrace/dataplane/hub"
)

var errNotStarted = errors.New("the stream has no tracks yet")

// handler takes the requests of readers. A connection owns the session that DESCRIBE made until SETUP gives it to an
// RTSP session.
type handler struct{ s *Server }

// OnConnOpen returns the connection its time to play.
func (h *handler) OnConnOpen(c *gortsplib.ServerHandlerOnConnOpenCtx) { h.s.await(c.Conn) }

// OnConnClose drops what was described and not set up.
func (h *handler) OnConnClose(c *gortsplib.ServerHandlerOnConnCloseCtx) {
	h.s.settled(c.Conn)
	if one, ok := c.Conn.UserData().(*session); ok {
		one.close()
	}
}

// OnSessionClose ends the session's sending.
func (h *handler) OnSessionClose(c *gortsplib.ServerHandlerOnSessionCloseCtx) {
	if one, ok := c.Session.UserData().(*session); ok {
		one.close()
		h.s.leave()
		if one.conn != nil {
			one.conn.Close() // after TEARDOWN it would stay open without a limit
		}
	}
}

// OnDescribe tells the tracks of a stream.
func (h *handler) OnDescribe(c *gortsplib.ServerHandlerOnDescribeCtx) (*base.Response, *gortsplib.ServerStream, error) {
	one, refused := h.open(c.Path)
	if refused != nil {
		return refused, nil, nil
	}
	if old, ok := c.Conn.UserData().(*session); ok {
		old.close()
	}
	c.Conn.SetUserData(one)
	return &base.Response{StatusCode: base.StatusOK}, one.rtsp, nil
}

// OnSetup chooses a track.
func (h *handler) OnSetup(c *gortsplib.ServerHandlerOnSetupCtx) (*base.Response, *gortsplib.ServerStream, error) {
	if c.Transport != gortsplib.TransportTCP {
		return h.refuse(
			"transport",
			base.StatusUnsupportedTransport,
			"Unsupported Transport: RTP goes over this TCP connection only (interleaved)",
		), nil, nil
	}
	if one, ok := c.Session.UserData().(*session); ok {
		if one.path != c.Path {
			return h.refuse("path", base.StatusBadRequest, "Bad Request: a session reads one stream"), nil, nil
		}
		return &base.Response{StatusCode: base.StatusOK}, one.rtsp, nil
	}
	one, ok := c.Conn.UserData().(*session)
	if !ok || one.path != c.Path {
		var refused *base.Response
		if one, refused = h.open(c.Path); refused != nil {
			return refused, nil, nil
		}
	} else {
		c.Conn.SetUserData(nil)
	}
	if !h.s.enter() {
		one.close()
		return h.refuse("sessions", base.StatusServiceUnavailable, "Service Unavailable: too many readers"), nil, nil
	}
	c.Session.SetUserData(one)
	return &base.Response{StatusCode: base.StatusOK}, one.rtsp, nil
}

// OnPlay begins to send.
func (h *handler) OnPlay(c *gortsplib.ServerHandlerOnPlayCtx) (*base.Response, error) {
	one, ok := c.Session.UserData().(*session)
	if !ok {
		return h.refuse("path", base.StatusBadRequest, "Bad Request: nothing is set up"), nil
	}
	if one.reader == nil {
		h.s.settled(c.Conn)
		h.s.metrics.sessions.Inc()
		h.s.metrics.readers.Inc()
		one.conn = c.Conn
		one.play(c.Session)
	}
	return &base.Response{StatusCode: base.StatusOK}, nil
}

// OnPause refuses: a live stream does not wait.
func (h *handler) OnPause(*gortsplib.ServerHandlerOnPauseCtx) (*base.Response, error) {
	return h.refuse(
		"pause",
		base.StatusMethodNotValidInThisState,
		"Method Not Valid in This State: a live stream cannot be paused",
	), nil
}

// OnDecodeError passes over what a reader sent and cannot be read; it says nothing that matters here.
func (h *handler) OnDecodeError(*gortsplib.ServerHandlerOnDecodeErrorCtx) {}

// open finds the stream of a path and prepares a session.
func (h *handler) open(path string) (*session, *base.Response) {
	key, ok := parsePath(path)
	if !ok {
		return nil, h.refuse("path", base.StatusBadRequest, "Bad Request: the path is /<play domain>/<app>/<stream>")
	}
	stream, refused := h.find(key)
	if refused != nil {
		return nil, refused
	}
	one, err := h.s.newSession(path, stream)
	if errors.Is(err, errNotStarted) {
		return nil, h.refuse(
			"not started",
			base.StatusServiceUnavailable,
			"Service Unavailable: the stream has not started yet",
		)
	}
	if err != nil {
		h.s.opt.Log.Error(err, "Describing a stream failed", "stream", key.String())
		return nil, h.refuse(
			"failed",
			base.StatusInternalServerError,
			"Internal Server Error: the stream cannot be described",
		)
	}
	return one, nil
}

// find returns a stream of the hub, or has it made.
func (h *handler) find(key hub.Key) (*hub.Stream, *base.Response) {
	if stream := h.s.opt.Hub.Lookup(key); stream != nil && (h.s.opt.Find == nil || stream.Tracks() != nil) {
		return stream, nil
	}
	err := hub.ErrNotFound
	if h.s.opt.Find != nil {
		ctx, cancel := context.WithTimeout(context.Background(), findTime)
		defer cancel()
		var stream *hub.Stream
		if stream, err = h.s.opt.Find.Find(ctx, key); err == nil {
			return stream, nil
		}
	}
	if later, ok := errors.AsType[*hub.UnavailableError](err); ok {
		return nil, h.refuse("unavailable", base.StatusServiceUnavailable, unavailable+later.Reason+": "+later.Message)
	}
	if errors.Is(err, context.DeadlineExceeded) {
		return nil, h.refuse(
			"not started",
			base.StatusServiceUnavailable,
			"Service Unavailable: the stream has not started yet",
		)
	}
	return nil, h.refuse("unknown", base.StatusNotFound, "Not Found: no such live stream")
}

// unavailable begins the status message of a stream that could be had, but not now; the reason and a text follow.
const unavailable = "Service Unavailable: "

// refuse words a refusal. The path is never repeated: it is the reader's text.
func (h *handler) refuse(reason string, code base.StatusCode, message string) *base.Response {
	h.s.metrics.refused.WithLabelValues(reason).Inc()
	return &base.Response{StatusCode: code, StatusMessage: message}
}
