package standalone

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/millrace/millrace/dataplane/certificates"
	"github.com/millrace/millrace/dataplane/door"
	"github.com/millrace/millrace/dataplane/edge"
	"github.com/millrace/millrace/dataplane/hub"
	"github.com/millrace/millrace/dataplane/ingest"
	"github.com/millrace/millrace/dataplane/pull"
	"github.com/millrace/millrace/dataplane/relay"
	"github.com/millrace/millrace/dataplane/transcode"
	"github.com/millrace/millrace/internal/contract/plan"
)

// server is a running process.
type server struct {
	opt      Options
	registry *prometheus.Registry
	current  *plan.Current
	hub      *hub.Hub
	ingest   *ingest.Server
	relay    *relay.Relay
	trans    *transcode.Transcoder
	edge     *edge.Edge
	source   *source
	certs    *certificates.Store
	at       Addresses
	started  time.Time
}

// Run serves until the context ends, then drains and returns nil. An error says why it could not start.
func Run(ctx context.Context, opt Options) error {
	if len(opt.Manifests) == 0 {
		return errNoManifests
	}
	s := &server{opt: opt, registry: prometheus.NewRegistry(), current: plan.NewCurrent(), started: time.Now()}
	src, err := newSource(opt.Manifests, opt.Out, opt.Log)
	if err != nil {
		return err
	}
	s.source = src
	first, err := src.load()
	if err != nil {
		return err
	}
	s.current.Store(plan.NewIndex(first))
	if s.certs, err = certificates.New(s.current, certificates.Options{CertFile: opt.CertFile, KeyFile: opt.KeyFile,
		SelfSigned: opt.SelfSigned}); err != nil {
		return err
	}
	return s.run(ctx)
}

func (s *server) run(ctx context.Context) error {
	s.hub = hub.New(hub.Options{Hold: s.opt.Hold})
	defer s.hub.Close()
	var err error
	s.trans, err = transcode.New(ctx, transcode.Options{
		Hub: s.hub, Plan: s.current, Log: s.opt.Log.WithName("transcode"), Metrics: s.registry, FFmpeg: s.opt.FFmpeg,
		Encoder:     s.opt.Encoder,
		MaxSessions: s.opt.MaxTranscodes, Threads: s.opt.TranscodeThreads, MaxCPU: s.opt.MaxCPU, Idle: s.opt.TranscodeIdle,
	})
	if err != nil {
		return fmt.Errorf("starting the transcoder: %w", err)
	}
	defer s.trans.Close()
	entrance := door.New(door.Options{Hub: s.hub, Plan: s.current, Find: s.trans, Limits: door.Limits{
		MaxViewers: s.opt.MaxViewers, MaxEgressMbps: s.opt.MaxEgress, MaxCPU: s.opt.MaxCPU,
		MaxJoinsPerAddress: s.opt.MaxHalfOpen,
	}})
	defer entrance.Close()
	s.relay, err = relay.New(relay.Options{
		Hub: s.hub, Find: s.trans, Plan: s.current, Log: s.opt.Log.WithName("relay"), Metrics: s.registry,
		Listen: s.mediaListen(), NoTCP: s.opt.NoTCP,
		Advertise: s.opt.Advertise, Door: entrance,
	})
	if err != nil {
		return err
	}
	defer s.relay.Close()
	s.at.Media = s.relay.Port()
	s.edge, err = edge.New(edge.Options{
		Hub: s.hub, Find: s.trans, Plan: s.current, Log: s.opt.Log.WithName("edge"), Metrics: s.registry,
		Door: entrance,
	})
	if err != nil {
		return fmt.Errorf("starting the edge: %w", err)
	}
	defer s.edge.Close()
	s.ingest, err = ingest.New(ingest.Options{
		Hub: s.hub, Plan: s.current, Log: s.opt.Log.WithName("ingest"), Metrics: s.registry, Play: s.edge,
	})
	if err != nil {
		return fmt.Errorf("starting the ingest: %w", err)
	}
	l, err := s.listen()
	if err != nil {
		l.close()
		return err
	}
	return s.serve(ctx, l)
}

// serve runs all listeners until the context ends or one of them fails.
func (s *server) serve(ctx context.Context, l listeners) error {
	// Sessions outlive the end of the context: they are drained.
	running, stop := context.WithCancel(context.WithoutCancel(ctx))
	defer stop()
	failed := make(chan error, 8)
	var wg sync.WaitGroup
	run := func(name string, f func() error) {
		wg.Go(func() {
			if err := f(); err != nil && !errors.Is(err, net.ErrClosed) {
				failed <- fmt.Errorf("serving %s: %w", name, err)
			}
		})
	}
	web := s.serveWeb(run, l)
	if l.rtmp != nil {
		run("RTMP", func() error { return s.ingest.Serve(running, l.rtmp) })
	}
	if l.rtmps != nil {
		run("RTMPS", func() error { return s.ingest.ServeTLS(running, l.rtmps, s.certs.Get) })
	}
	if l.rtsp != nil {
		run("RTSP", func() error { return s.serveRTSP(running, l.rtsp) })
	}
	wg.Go(func() { s.source.watch(ctx, s.apply) })
	s.printStart()
	if s.opt.Started != nil {
		s.opt.Started(s.at)
	}
	var err error
	select {
	case <-ctx.Done():
	case err = <-failed:
	}
	s.drain(web)
	stop()
	wg.Wait()
	return err
}

// serveRTSP lets RTSP tools look at every stream, whatever the domains' access rules say.
func (s *server) serveRTSP(ctx context.Context, l net.Listener) error {
	srv, err := pull.NewServer(pull.ServerOptions{Hub: s.hub, Log: s.opt.Log.WithName("rtsp"), Metrics: s.registry})
	if err != nil {
		_ = l.Close() // it is not served
		return err
	}
	return srv.Serve(ctx, l)
}

// apply takes a new Plan; only those who lost a right notice.
func (s *server) apply(next *plan.Plan) { s.current.Store(plan.NewIndex(next)) }

// drain refuses newcomers, moves the viewers away and lets the encoders know.
func (s *server) drain(web []shutdowner) {
	ctx, cancel := context.WithTimeout(context.Background(), max(s.opt.DrainTime, time.Second))
	defer cancel()
	s.opt.Log.Info("Draining", "viewers", s.relay.Sessions()+s.edge.Viewers(), "streams", len(s.hub.Streams()))
	var wg sync.WaitGroup
	for _, w := range web {
		wg.Go(func() { _ = w.Shutdown(ctx) }) // cut at the deadline by the process' end
	}
	wg.Go(func() {
		if err := s.edge.Drain(ctx, 0); err != nil {
			s.opt.Log.Info("Viewers of standard play are cut", "error", err.Error())
		}
	})
	// A request that takes its time does not keep the viewers waiting for theirs.
	if err := s.relay.Drain(ctx, time.Second); err != nil {
		s.opt.Log.Info("Drain is cut short", "error", err.Error())
	}
	if err := s.ingest.Shutdown(ctx); err != nil {
		s.opt.Log.Info("Publishers are cut", "error", err.Error())
	}
	wg.Wait()
}

// mediaListen lists the addresses for media; none lets the relay choose, which needs the default port.
func (s *server) mediaListen() []netip.AddrPort {
	addrs := s.opt.MediaListen
	if len(addrs) == 0 {
		return relay.LocalAddresses(uint16(s.opt.MediaPort))
	}
	out := make([]netip.AddrPort, 0, len(addrs))
	for _, a := range addrs {
		out = append(out, netip.AddrPortFrom(a, uint16(s.opt.MediaPort)))
	}
	return out
}
