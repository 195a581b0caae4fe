package ingest

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"runtime/debug"
	"sync"
	"time"

	"github.com/go-logr/logr"

	"github.com/millrace/millrace/dataplane/hub"
	"github.com/millrace/millrace/internal/contract/check"
	"github.com/millrace/millrace/internal/contract/plan"
)

// errUnpublished says that the encoder ended its publishing properly.
var errUnpublished = errors.New("unpublished by the encoder")

// session is one connection from its accept to its end.
type session struct {
	server  *Server
	raw     net.Conn // what was accepted, below TLS
	conn    *conn
	address string
	log     logr.Logger

	// Owned by the session's goroutine.
	published  bool // was counted as publishing
	handedOver bool // is a player's, and not counted any more
	program    *program
	rate       rateLimit
	warned     map[check.Reason]bool
	reviewed   time.Time
	renewed    time.Time

	mu      sync.Mutex
	stopped *refusalError // why the session has to end, set from outside
	admit   *admission    // set when it publishes
}

func newSession(server *Server, nc net.Conn, secure *tls.Config, address string) *session {
	s := &session{server: server, raw: nc, address: address, warned: map[check.Reason]bool{}}
	s.log = server.opt.Log.WithValues("Remote", nc.RemoteAddr().String())
	if secure != nil {
		nc = tls.Server(nc, secure)
	}
	s.conn = newConn(nc)
	s.program = newProgram()
	return s
}

// run is the session. A panic ends this session only.
func (s *session) run(ctx context.Context) {
	var publication *hub.Publication
	defer func() {
		if v := recover(); v != nil {
			s.server.metrics.panics.Inc()
			s.log.Error(fmt.Errorf("panic: %v", v), "A publishing session ended in a panic", "Stack", string(debug.Stack()))
			if publication != nil {
				publication.Abandon()
			}
			_ = s.raw.Close()
		}
	}()
	cancel := context.AfterFunc(ctx, func() { s.interrupt(shutdownRefusal()) })
	defer cancel()

	admitted, publication, err := s.open(ctx)
	if play, ok := errors.AsType[*playError](err); ok {
		s.play(ctx, play.request)
		return
	}
	if err != nil {
		s.refused(err)
		return
	}
	began := time.Now()
	s.published = true
	s.server.gate.publishing(s.address)
	s.server.metrics.accepted.Inc()
	s.server.metrics.publishers.Inc()
	defer s.server.metrics.publishers.Dec()
	s.log = s.log.WithValues("Domain", admitted.domain.Hostname, "Stream", admitted.key.String())
	s.log.V(1).Info("Publishing started")

	left := make(chan struct{})
	go s.watch(publication, left)
	err = s.publish(admitted, publication)
	close(left)
	s.close(publication, err, began)
}

// open negotiates and is admitted. A *refusalError among its errors has a status for the encoder.
func (s *session) open(ctx context.Context) (admission, *hub.Publication, error) {
	opt := s.server.opt
	if err := s.raw.SetDeadline(time.Now().Add(opt.NegotiationTimeout)); err != nil {
		return admission{}, nil, err
	}
	if why := s.interrupted(); why != nil { // its wake-up may have come before the deadline was set
		return admission{}, nil, why
	}
	name, err := s.conn.serverName(ctx)
	if err != nil {
		return admission{}, nil, err
	}
	if err := s.conn.handshake(); err != nil {
		return admission{}, nil, fmt.Errorf("RTMP handshake: %w", err)
	}
	req, err := s.conn.negotiate()
	if err != nil {
		return admission{}, nil, err
	}
	if req.play && opt.Play != nil {
		t, err := findTarget(req.tcURL, req.app, req.streamKey, name)
		if err != nil {
			return admission{}, nil, refuse(statusPlayDenied, "bad_name", "%s", err)
		}
		return admission{}, nil, &playError{
			request: &PlayRequest{Host: t.host, Path: t.path, RawQuery: t.rawQuery, Referer: req.pageURL, session: s},
		}
	}
	if req.play {
		return admission{}, nil, refuse(
			statusPlayDenied,
			"play",
			"this port takes streams in; play by the play domain's URL (artc:// or WHEP)",
		)
	}
	t, err := findTarget(req.tcURL, req.app, req.streamKey, name)
	if err != nil {
		return admission{}, nil, refuse(statusBadName, "bad_name", "%s", err)
	}
	a, no := admit(opt.Plan.Load(), t, time.Now())
	if no != nil {
		return admission{}, nil, no
	}
	publication, no := s.server.publish(a, s.raw.RemoteAddr().String())
	if no != nil {
		return admission{}, nil, no
	}
	s.mu.Lock()
	s.admit = &a
	s.mu.Unlock()
	// A Plan that came in between may have taken the right away again.
	s.enforce(opt.Plan.Load())
	if err := s.conn.status("NetStream.Publish.Start", "status", "Publishing "+a.key.App+"/"+a.key.Name+"."); err != nil {
		publication.Abandon()
		return admission{}, nil, err
	}
	return a, publication, nil
}

// watch ends the session when its publication ends from outside.
func (s *session) watch(p *hub.Publication, left <-chan struct{}) {
	select {
	case <-left:
	case <-p.Done():
		s.interrupt(kicked(p.Cause()))
	}
}

// kicked words the end of a publication for the encoder.
func kicked(cause error) *refusalError {
	switch {
	case errors.Is(cause, hub.ErrReplaced):
		return refuse(
			statusBadName,
			"replaced",
			"another encoder publishes this stream now (duplicatePublish: ReplaceOld); stop one of the two",
		)
	case errors.Is(cause, hub.ErrBusy):
		return refuse(
			statusBadName,
			"duplicate",
			"the stream is being published elsewhere already; stop the other encoder, or set duplicatePublish to ReplaceOld",
		)
	case cause == nil, errors.Is(cause, hub.ErrClosed), errors.Is(cause, hub.ErrEnded):
		return shutdownRefusal()
	}
	return refuse(statusDenied, "kicked", "%s", cause)
}

// enforce ends the session when it publishes and an index takes its right away.
func (s *session) enforce(index *plan.Index) {
	s.mu.Lock()
	a := s.admit
	s.mu.Unlock()
	if a == nil {
		return
	}
	if err := index.MayKeepPublishing(a.domain.Hostname, a.key.Space); err != nil {
		s.interrupt(refuse(statusDenied, "right_taken", "%s", err))
	}
}

// interrupt makes the session end with a reason; the first one counts.
func (s *session) interrupt(why *refusalError) {
	s.mu.Lock()
	if s.stopped == nil {
		s.stopped = why
	}
	s.mu.Unlock()
	_ = s.raw.SetReadDeadline(time.Unix(1, 0)) // wakes a waiting read
}

// interrupted returns the reason set by interrupt.
func (s *session) interrupted() *refusalError {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.stopped
}

// refused closes a connection that did not come to publish.
func (s *session) refused(err error) {
	if why := s.interrupted(); why != nil {
		err = why
	}
	reason := "broken"
	var no *refusalError
	switch {
	case errors.As(err, &no):
		reason = no.reason
		s.tell(no)
	case errors.Is(err, errProtocol):
		reason = "protocol_error"
	case errors.Is(err, os.ErrDeadlineExceeded):
		reason = "timeout"
	}
	s.server.metrics.refused.WithLabelValues(reason).Inc()
	s.log.V(1).Info("Connection refused", "Reason", reason, "Message", err.Error())
	s.conn.closeGently()
}

// close ends the publication in the way that fits the cause, and tells the encoder.
func (s *session) close(p *hub.Publication, err error, began time.Time) {
	reason := "broken"
	var no *refusalError
	switch {
	case errors.Is(err, errUnpublished):
		reason = "unpublished"
		p.End()
	case errors.As(err, &no):
		reason = no.reason
		if no.code == statusRejected || reason == "right_taken" {
			p.End() // it would be refused again
		} else {
			p.Abandon()
		}
		s.tell(no)
	default:
		if errors.Is(err, errProtocol) {
			reason = "protocol_error"
		}
		p.Abandon()
	}
	s.server.metrics.ended.WithLabelValues(reason).Inc()
	s.log.V(1).
		Info("Publishing ended", "Reason", reason, "Message", wording(err), "Seconds", int(time.Since(began).Seconds()))
	s.conn.closeGently()
}

// tell sends the encoder a refusal. An error is of no interest: the connection is closed anyway.
func (s *session) tell(no *refusalError) {
	_ = s.conn.status(no.code, "error", no.message)
}

// wording words the end of a session for the log.
func wording(err error) string {
	if errors.Is(err, io.EOF) {
		return "the connection was closed without a word"
	}
	return err.Error()
}
