package ingest

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"testing"

	"github.com/go-logr/logr"
	"github.com/go-logr/logr/testr"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/millrace/millrace/dataplane/hub"
	"github.com/millrace/millrace/dataplane/media"
	"github.com/millrace/millrace/internal/contract/plan"
	"github.com/millrace/millrace/internal/testkit"
	"github.com/millrace/millrace/internal/testsrc"
)

const (
	pushHost = "push.example.com"
	space    = "rts.example.com"
)

// rig is an ingest on a free port of the loopback interface, with a hub behind it.
type rig struct {
	t       *testing.T
	hub     *hub.Hub
	current *plan.Current
	server  *Server
	metrics *prometheus.Registry
	address string
	tls     string // address of RTMPS; "" without
}

type rigOption func(*Options)

// newRig runs an ingest for the push domains given; with none, for one that allows everything.
func newRig(t *testing.T, domains []plan.PushDomain, options ...rigOption) *rig {
	t.Helper()
	r := &rig{t: t, current: plan.NewCurrent(), metrics: prometheus.NewRegistry()}
	if domains == nil {
		domains = []plan.PushDomain{domain()}
	}
	r.current.Store(plan.NewIndex(&plan.Plan{Push: domains}))
	// Limits in time are long: a test that is about one sets it.
	opt := Options{
		Hub:                hub.New(hub.Options{Hold: testkit.Patience()}),
		Plan:               r.current,
		Log:                quietLog(t),
		Metrics:            r.metrics,
		NegotiationTimeout: testkit.Patience(),
		IdleTimeout:        testkit.Patience(),
	}
	for _, o := range options {
		o(&opt)
	}
	r.hub = opt.Hub
	var err error
	if r.server, err = New(opt); err != nil {
		t.Fatal(err)
	}
	r.address = r.listen(func(ctx context.Context, l net.Listener) error { return r.server.Serve(ctx, l) })
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), testkit.Patience())
		defer cancel()
		if err := r.server.Shutdown(ctx); err != nil {
			t.Errorf("shutting down: %v", err)
		}
		r.hub.Close()
	})
	return r
}

// listen serves on a free port until the test ends.
func (r *rig) listen(serve func(context.Context, net.Listener) error) string {
	r.t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		r.t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- serve(ctx, l) }()
	r.t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			r.t.Errorf("serving: %v", err)
		}
	})
	return l.Addr().String()
}

// listenTLS adds RTMPS with a certificate.
func (r *rig) listenTLS(get func(*tls.ClientHelloInfo) (*tls.Certificate, error)) {
	r.tls = r.listen(func(ctx context.Context, l net.Listener) error { return r.server.ServeTLS(ctx, l, get) })
}

// domain is a push domain that allows everything.
func domain() plan.PushDomain {
	return plan.PushDomain{Hostname: pushHost, Space: space, Auth: plan.Auth{Type: plan.AuthNone},
		BFrames: plan.Allow, H265: plan.Allow, Duplicate: plan.RejectNew}
}

// url is where a stream of the push domain is published: the address of the rig, the domain by vhost.
func (r *rig) url(path string) string {
	sep := "?"
	if strings.Contains(path, "?") {
		sep = "&"
	}
	return "rtmp://" + r.address + path + sep + "vhost=" + pushHost
}

// publish starts ffmpeg and ends it with the test.
func (r *rig) publish(o testsrc.Options) *testsrc.Publisher {
	r.t.Helper()
	testkit.NeedFFmpeg(r.t)
	if o.Width == 0 {
		o.Width, o.Height = 320, 180
	}
	if o.BitrateKbps == 0 {
		o.BitrateKbps = 200
	}
	if o.Duration == 0 {
		o.Duration = 2 * testkit.Patience()
	}
	p, err := testsrc.Publish(context.Background(), o)
	if err != nil {
		r.t.Fatal(err)
	}
	r.t.Cleanup(p.Kill)
	return p
}

// stream waits until a stream is live and has a track of each kind asked for.
func (r *rig) stream(app, name string, kinds ...media.Kind) *hub.Stream {
	r.t.Helper()
	var s *hub.Stream
	r.wait("stream "+app+"/"+name, func() bool {
		s = r.hub.Lookup(hub.Key{Space: space, App: app, Name: name})
		if s == nil || !s.Live() {
			return false
		}
		for _, k := range kinds {
			if s.Track(k) == nil {
				return false
			}
		}
		return true
	})
	return s
}

// wait waits for a condition.
func (r *rig) wait(what string, ok func() bool) {
	r.t.Helper()
	testkit.Eventually(r.t, what, ok)
}

// refusal waits for a publisher's end and gives what it printed; a publisher that ends without an error fails the test.
func (r *rig) refusal(p *testsrc.Publisher) string {
	r.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), testkit.Patience())
	defer cancel()
	err := p.Wait(ctx)
	if err == nil || errors.Is(err, context.DeadlineExceeded) {
		r.t.Fatalf("ffmpeg was not refused: %v; it said: %s", err, p.Output())
	}
	return p.Output()
}

// count reads a counter or gauge with at most one label.
func (r *rig) count(name, label string) float64 {
	r.t.Helper()
	families, err := r.metrics.Gather()
	if err != nil {
		r.t.Fatal(err)
	}
	for _, f := range families {
		if f.GetName() != name {
			continue
		}
		for _, m := range f.GetMetric() {
			if label == "" || len(m.GetLabel()) == 1 && m.GetLabel()[0].GetValue() == label {
				return m.GetCounter().GetValue() + m.GetGauge().GetValue()
			}
		}
	}
	return 0
}

// next reads frames until one fits.
func next(t *testing.T, r *hub.Reader, fits func(*media.Frame) bool) *media.Frame {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), testkit.Patience())
	defer cancel()
	for {
		f, err := r.Next(ctx)
		if err != nil {
			t.Fatalf("reading the stream: %v", err)
		}
		if fits(f) {
			return f
		}
	}
}

func anyVideo(f *media.Frame) bool { return f.Kind() == media.Video }

// drain reads to the end of the stream and gives the error.
func drain(ctx context.Context, r *hub.Reader) error {
	ctx, cancel := context.WithTimeout(ctx, testkit.Patience())
	defer cancel()
	for {
		if _, err := r.Next(ctx); err != nil {
			return err
		}
	}
}

func atEnd(t *testing.T, r *hub.Reader) {
	t.Helper()
	if err := drain(t.Context(), r); !errors.Is(err, io.EOF) {
		t.Errorf("the stream ended with %v, want io.EOF", err)
	}
}

// quietLog logs to the test when INGEST_TEST_LOG is set.
func quietLog(t *testing.T) logr.Logger {
	if os.Getenv("INGEST_TEST_LOG") == "" {
		return logr.Discard()
	}
	return testr.NewWithOptions(t, testr.Options{Verbosity: 2})
}

func describe(f *media.Frame) string {
	return fmt.Sprintf("%s key=%v dts=%s pts=%s units=%d", f.Track.Codec, f.Key, f.DTS, f.PTS, len(f.Units))
}
