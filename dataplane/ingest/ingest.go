// Package ingest takes streams in by RTMP and RTMPS and publishes them to the hub.
//
// A connection is a session: it negotiates, is admitted by the Plan, and then turns messages into frames (program),
// which are inspected (media.Inspector) and written to the hub. Every refusal goes to the encoder as a NetStream status
// whose description says what to do. All input is bounded before it is held.
package ingest

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"sync"
	"time"

	"github.com/go-logr/logr"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/millrace/millrace/dataplane/hub"
	"github.com/millrace/millrace/internal/contract/plan"
)

// Options are what an ingest works with. Hub and Plan are needed; zero limits take the defaults.
type Options struct {
	Hub     *hub.Hub
	Plan    *plan.Current
	Log     logr.Logger
	Metrics prometheus.Registerer // nil: metrics are not registered
	Play    Player                // serves those who ask to play on the same port; nil refuses them

	// LiveElsewhere reports whether another process publishes a stream now; a domain with RejectNew refuses it here then.
	// nil: there is no other.
	LiveElsewhere func(hub.Key) bool

	MaxConnections       int           // in all; default 4096
	MaxPerAddress        int           // per remote address (IPv6: /64); default 512
	MaxPendingPerAddress int           // per remote address, before publishing; default 64
	NegotiationTimeout   time.Duration // from the connection to publish; default 10 s
	IdleTimeout          time.Duration // without audio or video; default 10 s
}

// Server takes streams in. It is made by New and safe for concurrent use.
type Server struct {
	opt     Options
	metrics *metrics
	gate    *gate

	admission sync.Mutex // one publish at a time is held against maxStreams

	mu        sync.Mutex
	sessions  map[*session]struct{}
	listeners map[net.Listener]struct{}
	closing   bool
	running   sync.WaitGroup
	unwatch   func()
}

// New makes a server that takes nothing in until Serve or ServeTLS is called. It fails when the metrics cannot be
// registered.
func New(opt Options) (*Server, error) {
	if opt.Hub == nil || opt.Plan == nil {
		return nil, errors.New("making an ingest: Hub and Plan are needed")
	}
	setDefault(&opt.MaxConnections, 4096)
	setDefault(&opt.MaxPerAddress, 512)
	setDefault(&opt.MaxPendingPerAddress, 64)
	setDefault(&opt.NegotiationTimeout, 10*time.Second)
	setDefault(&opt.IdleTimeout, 10*time.Second)
	m, err := newMetrics(opt.Metrics)
	if err != nil {
		return nil, fmt.Errorf("registering the metrics of the ingest: %w", err)
	}
	s := &Server{
		opt:       opt,
		metrics:   m,
		gate:      newGate(opt.MaxConnections, opt.MaxPerAddress, opt.MaxPendingPerAddress),
		sessions:  map[*session]struct{}{},
		listeners: map[net.Listener]struct{}{},
	}
	s.unwatch = opt.Plan.Subscribe(func(_, index *plan.Index) { s.enforce(index) })
	return s, nil
}

func setDefault[T int | time.Duration](v *T, d T) {
	if *v <= 0 {
		*v = d
	}
}

// errShutdown is the cause with which sessions end when the server does.
var errShutdown = errors.New("the server is shutting down")

// Serve takes RTMP connections from a listener until the context ends or Shutdown is called, and closes the listener;
// then it returns nil. The sessions that began go on until the context ends.
func (s *Server) Serve(ctx context.Context, l net.Listener) error {
	return s.serve(ctx, l, nil)
}

// ServeTLS is Serve for RTMPS. The certificate is chosen by getCertificate from the name that the encoder asks for,
// which is the push domain as well.
func (s *Server) ServeTLS(
	ctx context.Context,
	l net.Listener,
	getCertificate func(*tls.ClientHelloInfo) (*tls.Certificate, error),
) error {
	return s.serve(ctx, l, &tls.Config{GetCertificate: getCertificate, MinVersion: tls.VersionTLS12})
}

func (s *Server) serve(ctx context.Context, l net.Listener, secure *tls.Config) error {
	if !s.addListener(l) {
		return l.Close()
	}
	defer s.removeListener(l)
	stop := context.AfterFunc(ctx, func() { _ = l.Close() })
	defer stop()
	pause := time.Duration(0)
	for {
		nc, err := l.Accept()
		switch {
		case err == nil:
			pause = 0
			s.start(ctx, nc, secure)
			continue
		case errors.Is(err, net.ErrClosed):
			return nil
		case ctx.Err() != nil:
			return nil
		}
		// Out of file descriptors, or the peer is gone already: wait a little and go on.
		pause = min(max(2*pause, 5*time.Millisecond), time.Second)
		s.opt.Log.Error(err, "Accepting a connection failed", "Listener", l.Addr().String())
		select {
		case <-ctx.Done():
		case <-time.After(pause):
		}
	}
}

// start begins a session on a connection, or closes the connection when there are too many.
func (s *Server) start(ctx context.Context, nc net.Conn, secure *tls.Config) {
	address := addressOf(nc.RemoteAddr())
	if !s.gate.enter(address) {
		s.metrics.refused.WithLabelValues("too_many_connections").Inc()
		_ = nc.Close()
		return
	}
	session := newSession(s, nc, secure, address)
	s.mu.Lock()
	if s.closing {
		s.mu.Unlock()
		s.gate.leave(address, true)
		_ = nc.Close()
		return
	}
	s.sessions[session] = struct{}{}
	s.running.Add(1)
	s.mu.Unlock()
	s.metrics.connections.Inc()
	go func() {
		defer s.running.Done()
		session.run(ctx)
		s.mu.Lock()
		delete(s.sessions, session)
		s.mu.Unlock()
		if !session.handedOver {
			s.gate.leave(address, !session.published)
		}
		s.metrics.connections.Dec()
	}()
}

// Shutdown stops accepting, tells all encoders that the server shuts down, and waits for their sessions. Their streams
// are held by the hub as after a broken connection. When the context ends first, connections are cut and its error is
// returned.
func (s *Server) Shutdown(ctx context.Context) error {
	s.unwatch()
	s.StopAccepting()
	s.each(func(session *session) { session.interrupt(shutdownRefusal()) })
	done := make(chan struct{})
	go func() {
		s.running.Wait()
		close(done)
	}()
	select {
	case <-done:
		return nil
	case <-ctx.Done():
		s.each(func(session *session) { _ = session.raw.Close() })
		return fmt.Errorf("waiting for publishers to close: %w", ctx.Err())
	}
}

func shutdownRefusal() *refusalError {
	return refuse(statusShutdown, "shutdown", "%s; connect again", errShutdown)
}

// enforce ends the sessions whose right a new Plan has taken away.
func (s *Server) enforce(index *plan.Index) {
	s.each(func(session *session) { session.enforce(index) })
}

func (s *Server) each(f func(*session)) {
	s.mu.Lock()
	all := make([]*session, 0, len(s.sessions))
	for session := range s.sessions {
		all = append(all, session)
	}
	s.mu.Unlock()
	for _, session := range all {
		f(session)
	}
}

func (s *Server) addListener(l net.Listener) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closing {
		return false
	}
	s.listeners[l] = struct{}{}
	return true
}

func (s *Server) removeListener(l net.Listener) {
	_ = l.Close()
	s.mu.Lock()
	delete(s.listeners, l)
	s.mu.Unlock()
}

// publish asks the hub for an admitted stream, within the domain's limit.
func (s *Server) publish(a admission, remote string) (*hub.Publication, *refusalError) {
	s.admission.Lock()
	defer s.admission.Unlock()
	if limit := a.domain.MaxStreams; limit > 0 && s.liveStreams(a) >= limit {
		return nil, refuse(statusDenied, "max_streams",
			"push domain %s has its %d streams already (maxStreams); stop one or raise the limit", a.domain.Hostname, limit)
	}
	replace := a.domain.Duplicate == plan.ReplaceOld
	if !replace && s.opt.LiveElsewhere != nil && s.opt.LiveElsewhere(a.key) {
		return nil, duplicateRefusal(a.key)
	}
	p, err := s.opt.Hub.Publish(a.key, hub.Publisher{Remote: remote, Domain: a.domain.Hostname, Replace: replace})
	switch {
	case err == nil:
		return p, nil
	case errors.Is(err, hub.ErrBusy):
		return nil, duplicateRefusal(a.key)
	case errors.Is(err, hub.ErrClosed):
		return nil, shutdownRefusal()
	}
	return nil, refuse(statusDenied, "hub", "the stream cannot be published: %s", err)
}

func duplicateRefusal(key hub.Key) *refusalError {
	return refuse(
		statusBadName,
		"duplicate",
		"stream %s/%s is being published already; stop the other encoder, or set duplicatePublish to ReplaceOld",
		shown(key.App),
		shown(key.Name),
	)
}

// Publishers is the number of sessions, those that negotiate included.
func (s *Server) Publishers() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.sessions)
}

// StopAccepting closes the listeners; the sessions go on.
func (s *Server) StopAccepting() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closing = true
	for l := range s.listeners {
		_ = l.Close()
	}
}

// liveStreams counts the live streams of an admission's domain, its own stream left out.
func (s *Server) liveStreams(a admission) int {
	n := 0
	for _, st := range s.opt.Hub.Streams() {
		if st.Key != a.key && st.Publisher().Domain == a.domain.Hostname && st.Live() {
			n++
		}
	}
	return n
}
