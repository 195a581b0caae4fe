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
	"github.com/millrace/millrace/dataplane/media"
	"github.com/millrace/millrace/dataplane/plan"
)

// reviewEvery is how often the facts of a source are told to the hub and held against the policies.
const reviewEvery = time.Second

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
	published bool // was counted as publishing
	program   *program
	rate      rateLimit
	warned    map[media.Reason]bool
	reviewed  time.Time
	renewed   time.Time

	mu      sync.Mutex
	stopped *refusal   // why the session has to end, set from outside
	admit   *admission // set when it publishes
}

func newSession(server *Server, nc net.Conn, secure *tls.Config, address string) *session {
	s := &session{server: server, raw: nc, address: address, warned: map[media.Reason]bool{}}
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

	admitted, publication, err := s.open()
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

// open negotiates and is admitted. A *refusal among its errors has a status for the encoder.
func (s *session) open() (admission, *hub.Publication, error) {
	opt := s.server.opt
	if err := s.raw.SetDeadline(time.Now().Add(opt.NegotiationTimeout)); err != nil {
		return admission{}, nil, err
	}
	if why := s.interrupted(); why != nil { // its wake-up may have come before the deadline was set
		return admission{}, nil, why
	}
	name, err := s.conn.serverName()
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
	if req.play {
		return admission{}, nil, refuse(statusPlayDenied, "play", "this port takes streams in; play by the play domain's URL (artc:// or WHEP)")
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
func kicked(cause error) *refusal {
	switch {
	case errors.Is(cause, hub.ErrReplaced):
		return refuse(statusBadName, "replaced", "another encoder publishes this stream now (duplicatePublish: ReplaceOld); stop one of the two")
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
func (s *session) interrupt(why *refusal) {
	s.mu.Lock()
	if s.stopped == nil {
		s.stopped = why
	}
	s.mu.Unlock()
	_ = s.raw.SetReadDeadline(time.Unix(1, 0)) // wakes a waiting read
}

// interrupted gives the reason set by interrupt.
func (s *session) interrupted() *refusal {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.stopped
}

// publish takes messages until the end and returns why it ended: errUnpublished, a *refusal, or what broke the connection.
func (s *session) publish(a admission, p *hub.Publication) error {
	if err := s.keepAlive(time.Now()); err != nil {
		return err
	}
	for {
		if why := s.interrupted(); why != nil {
			return why
		}
		m, err := s.conn.read()
		if err != nil {
			if why := s.interrupted(); why != nil {
				return why
			}
			if errors.Is(err, os.ErrDeadlineExceeded) {
				return refuse(statusIdle, "idle", "no audio or video came for %s", s.server.opt.IdleTimeout)
			}
			return err
		}
		now := time.Now()
		switch m.typ {
		case typeCommandAMF0:
			if ends(m.body) {
				return errUnpublished
			}
			continue
		case typeAudio, typeVideo:
			if err := s.keepAlive(now); err != nil {
				return err
			}
			s.server.metrics.bytes.Add(float64(len(m.body)))
			if limit := a.domain.MaxBitrateKbps; limit > 0 {
				if kbps := s.rate.add(now, len(m.body)); kbps > limit {
					return refuse(statusRejected, "max_bitrate",
						"the source has %d kbit/s, more than the %d of push domain %s (maxBitrateKbps); lower the encoder's bit rate", kbps, limit, a.domain.Hostname)
				}
			}
		}
		if err := s.carry(a, p, m, now); err != nil {
			return err
		}
	}
}

// carry turns a message into a frame and writes it to the hub.
func (s *session) carry(a admission, p *hub.Publication, m rawMessage, now time.Time) error {
	damaged, repairs, bFrames := s.program.damaged, s.program.line.repairs, s.program.inspector.BFrames()
	frame, tracksChanged, err := s.program.take(m, now)
	if err != nil {
		return refuse(statusRejected, "unsupported", "%s", err)
	}
	if n := s.program.damaged - damaged; n > 0 {
		s.server.metrics.damaged.Add(float64(n))
	}
	if n := s.program.line.repairs - repairs; n > 0 {
		s.server.metrics.repairs.Add(float64(n))
	}
	if tracksChanged {
		p.SetTracks(s.program.tracks())
	}
	if frame != nil {
		s.server.metrics.frames[frame.Kind()].Inc()
		if err := p.Write(frame); err != nil {
			return kicked(err)
		}
	}
	if tracksChanged || bFrames != s.program.inspector.BFrames() || now.Sub(s.reviewed) >= reviewEvery {
		return s.review(a, p, now)
	}
	return nil
}

// review tells the hub the facts and holds them against the policies of the domain, as they were when publishing began.
func (s *session) review(a admission, p *hub.Publication, now time.Time) error {
	s.reviewed = now
	facts := s.program.inspector.Facts()
	p.SetFacts(facts)
	d := a.domain
	for _, v := range media.Check(facts, media.Policies{BFrames: d.BFrames, H265: d.H265, MaxGOP: d.MaxGOP}) {
		if v.Reject {
			return refuse(statusRejected, string(v.Reason), "%s", v.Message)
		}
		if !s.warned[v.Reason] {
			s.warned[v.Reason] = true
			s.log.Info("The source is not fit for browsers", "Reason", string(v.Reason), "Message", v.Message)
		}
	}
	return nil
}

// keepAlive moves the idle time-out on, at most four times a second.
func (s *session) keepAlive(now time.Time) error {
	if now.Sub(s.renewed) < 250*time.Millisecond {
		return nil
	}
	s.renewed = now
	return s.raw.SetReadDeadline(now.Add(s.server.opt.IdleTimeout))
}

// ends tells whether a command ends publishing. A command that cannot be read does not.
func ends(body []byte) bool {
	cmd, err := parseCommand(body)
	if err != nil {
		return false
	}
	switch cmd.name {
	case "FCUnpublish", "deleteStream", "closeStream":
		return true
	}
	return false
}

// refused closes a connection that did not come to publish.
func (s *session) refused(err error) {
	if why := s.interrupted(); why != nil {
		err = why
	}
	reason := "broken"
	var no *refusal
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
	var no *refusal
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
	s.log.V(1).Info("Publishing ended", "Reason", reason, "Message", wording(err), "Seconds", int(time.Since(began).Seconds()))
	s.conn.closeGently()
}

// tell sends the encoder a refusal. An error is of no interest: the connection is closed anyway.
func (s *session) tell(no *refusal) {
	_ = s.conn.status(no.code, "error", no.message)
}

// wording words the end of a session for the log.
func wording(err error) string {
	if errors.Is(err, io.EOF) {
		return "the connection was closed without a word"
	}
	return err.Error()
}
