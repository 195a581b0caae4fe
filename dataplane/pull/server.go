package pull

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
	"time"

	"github.com/bluenviron/gortsplib/v4"
	"github.com/go-logr/logr"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/millrace/millrace/dataplane/hub"
)

// ServerOptions make a Server. Hub is needed; zero values take the defaults.
type ServerOptions struct {
	Hub       *hub.Hub
	Find      hub.Finder // of streams that readers ask for and the hub does not have; nil: there are no others
	Log       logr.Logger
	Metrics   prometheus.Registerer // nil: not registered
	TLSConfig *tls.Config           // nil: plain RTSP; with ClientAuth it decides who may read

	MaxSessions int           // that are set up or play; default 1024. Twice as many connections, and 16, are let in
	SetupTime   time.Duration // from connecting to PLAY; default 10 s
	StallTime   time.Duration // in which a reader takes nothing; default 10 s
	ByeTime     time.Duration // for a reader to hang up once the stream is over; default 2 s
}

// Server shows every live stream of a hub by RTSP over TCP, read only, at rtsp://host/space/app/name.
type Server struct {
	opt     ServerOptions
	metrics *metrics
	rtsp    *gortsplib.Server
	readers sync.WaitGroup

	mu       sync.Mutex
	sessions int
	waiting  map[*gortsplib.ServerConn]*time.Timer // connections that do not play
}

// NewServer makes a Server. It fails when the metrics are registered already.
func NewServer(opt ServerOptions) (*Server, error) {
	if opt.MaxSessions <= 0 {
		opt.MaxSessions = 1024
	}
	if opt.SetupTime <= 0 {
		opt.SetupTime = 10 * time.Second
	}
	if opt.StallTime <= 0 {
		opt.StallTime = 10 * time.Second
	}
	if opt.ByeTime <= 0 {
		opt.ByeTime = 2 * time.Second
	}
	m, err := newMetrics(opt.Metrics)
	if err != nil {
		return nil, fmt.Errorf("registering the metrics of RTSP: %w", err)
	}
	return &Server{opt: opt, metrics: m, waiting: map[*gortsplib.ServerConn]*time.Timer{}}, nil
}

// Serve serves l until the context ends, then cuts all readers, closes l and returns nil; to readers it is a broken
// connection. The hub must outlive it, for the end of the hub is the end of its streams. An error says that l broke. It
// may be called once.
func (s *Server) Serve(ctx context.Context, l net.Listener) error {
	const writeQueue = 512 // packets
	s.rtsp = &gortsplib.Server{
		Handler:     &handler{s},
		RTSPAddress: l.Addr().String(),
		TLSConfig:   s.opt.TLSConfig,
		ReadTimeout: s.opt.SetupTime, WriteTimeout: s.opt.StallTime, WriteQueueSize: writeQueue,
		DisableRTCPSenderReports: true, // ours tell the ingest's clock
		Listen: func(string, string) (net.Listener, error) {
			return newLimiter(l, 2*s.opt.MaxSessions+16, func() { s.metrics.refused.WithLabelValues("connections").Inc() }), nil
		},
	}
	if err := s.rtsp.Start(); err != nil {
		_ = l.Close() // it was not served
		return fmt.Errorf("starting RTSP on %s: %w", l.Addr(), err)
	}
	stop := context.AfterFunc(ctx, s.rtsp.Close)
	defer stop()
	err := s.rtsp.Wait()
	s.readers.Wait()
	if ctx.Err() != nil {
		return nil
	}
	return fmt.Errorf("serving RTSP on %s: %w", l.Addr(), err)
}

// enter takes a place for a session.
func (s *Server) enter() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.sessions >= s.opt.MaxSessions {
		return false
	}
	s.sessions++
	return true
}

func (s *Server) leave() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.sessions--
}

// await returns a connection time to play; gortsplib itself waits without end for the next request.
func (s *Server) await(c *gortsplib.ServerConn) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if old := s.waiting[c]; old != nil {
		old.Stop()
	}
	s.waiting[c] = time.AfterFunc(s.opt.SetupTime, func() {
		s.metrics.refused.WithLabelValues("idle").Inc()
		c.Close()
	})
}

// settled ends the wait of a connection: it plays, or it is gone.
func (s *Server) settled(c *gortsplib.ServerConn) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if t := s.waiting[c]; t != nil {
		t.Stop()
		delete(s.waiting, c)
	}
}

// ended counts and tells the end of a session.
func (s *Server) ended(one *session, err error) {
	reason := "failed"
	switch {
	case errors.Is(err, io.EOF):
		reason = "stream ended"
	case errors.Is(err, context.Canceled):
		reason = "reader left"
	case errors.Is(err, errStalled):
		reason = "stalled"
	case errors.Is(err, errTracksChanged):
		reason = "tracks changed"
	}
	s.metrics.readers.Dec()
	s.metrics.ended.WithLabelValues(reason).Inc()
	s.opt.Log.V(1).
		Info("RTSP reader ended", "stream", one.stream.Key.String(), "reason", reason, "error", err.Error(), "skipped",
			one.reader.Skipped())
}
