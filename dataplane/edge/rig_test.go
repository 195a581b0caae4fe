package edge

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"net/http/httptest"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/go-logr/logr/testr"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/millrace/millrace/dataplane/hub"
	"github.com/millrace/millrace/dataplane/ingest"
	"github.com/millrace/millrace/dataplane/media"
	"github.com/millrace/millrace/internal/contract/plan"
	"github.com/millrace/millrace/internal/testkit"
	"github.com/millrace/millrace/internal/testsrc"
)

const (
	pushHost   = "push.example.com"
	playHost   = "play.example.com"
	signedHost = "signed.example.com"
	rtsHost    = "rts.example.com"
	otherHost  = "other.example.com"
	playKey    = "exampleOnlyPlayPrimary1"
	rtsKey     = "exampleOnlyRTSPrimary11"
)

var (
	liveKey = hub.Key{Space: playHost, App: "live", Name: "stream"}
	all     = []plan.Protocol{plan.RTMP, plan.FLV, plan.HLS}
)

func testPlan() *plan.Plan {
	open := plan.Auth{Type: plan.AuthNone}
	return &plan.Plan{
		Class: "default",
		Push: []plan.PushDomain{
			{Hostname: pushHost, Space: playHost, Auth: open, BFrames: plan.Allow, H265: plan.Allow, Duplicate: plan.RejectNew},
		},
		Play: []plan.PlayDomain{
			{
				Hostname:  "flvonly.example.com",
				Type:      plan.Standard,
				Role:      plan.Sub,
				Space:     playHost,
				Protocols: []plan.Protocol{plan.FLV},
				Auth:      open,
			},
			{
				Hostname:  "offline.example.com",
				Type:      plan.Standard,
				Role:      plan.Sub,
				Space:     playHost,
				Protocols: all,
				Offline:   true,
				Auth:      open,
			},
			{Hostname: otherHost, Type: plan.Standard, Role: plan.Main, Space: otherHost, Protocols: all, Auth: open},
			{
				Hostname:  "page.example.com",
				Type:      plan.Standard,
				Role:      plan.Sub,
				Space:     playHost,
				Protocols: all,
				Auth:      open,
				Referers:  []string{"*.good.example"},
			},
			{Hostname: playHost, Type: plan.Standard, Role: plan.Main, Space: playHost, Protocols: all, Auth: open},
			{
				Hostname:  "private.example.com",
				Type:      plan.Standard,
				Role:      plan.Sub,
				Space:     playHost,
				Protocols: all,
				Auth:      open,
				IPs:       []string{"203.0.113.0/24"},
			},
			{
				Hostname: rtsHost,
				Type:     plan.RTS,
				Role:     plan.Sub,
				Space:    playHost,
				Auth:     plan.Auth{Type: plan.AuthA, Primary: rtsKey, Validity: time.Hour},
			},
			{Hostname: "c." + rtsHost, Type: plan.RTS, Role: plan.Sub, Space: playHost, Auth: rtsAuthC()},
			{Hostname: "open." + rtsHost, Type: plan.RTS, Role: plan.Sub, Space: playHost, Auth: open},
			{
				Hostname:  signedHost,
				Type:      plan.Standard,
				Role:      plan.Sub,
				Space:     playHost,
				Protocols: all,
				Auth:      plan.Auth{Type: plan.AuthA, Primary: playKey, Validity: time.Hour},
			},
			{
				Hostname:   "small.example.com",
				Type:       plan.Standard,
				Role:       plan.Sub,
				Space:      playHost,
				Protocols:  all,
				Auth:       open,
				MaxViewers: 1,
			},
		},
	}
}

// rig is an edge behind an HTTP server and an RTMP port, which is an ingest's as well.
type rig struct {
	t        *testing.T
	hub      *hub.Hub
	current  *plan.Current
	edge     *Edge
	registry *prometheus.Registry
	web      *httptest.Server // HTTP/1.1
	secure   *httptest.Server // HTTP/2
	rtmp     string
}

func newRig(t *testing.T, change func(*Options)) *rig {
	t.Helper()
	r := &rig{t: t, hub: hub.New(hub.Options{}), current: plan.NewCurrent(), registry: prometheus.NewRegistry()}
	r.current.Store(plan.NewIndex(testPlan()))
	log := testr.NewWithInterface(quiet{t}, testr.Options{})
	opt := Options{Hub: r.hub, Plan: r.current, Log: log, Metrics: r.registry}
	if change != nil {
		change(&opt)
	}
	var err error
	if r.edge, err = New(opt); err != nil {
		t.Fatal(err)
	}
	in, err := ingest.New(
		ingest.Options{
			Hub:                r.hub,
			Plan:               r.current,
			Log:                log,
			Play:               r.edge,
			NegotiationTimeout: testkit.Patience(),
			IdleTimeout:        testkit.Patience(),
		},
	)
	if err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	r.rtmp = l.Addr().String()
	ctx, cancel := context.WithCancel(context.Background())
	served := make(chan error, 1)
	go func() { served <- in.Serve(ctx, l) }()
	r.web = httptest.NewServer(r.edge)
	r.secure = httptest.NewUnstartedServer(r.edge)
	r.secure.EnableHTTP2 = true
	r.secure.StartTLS()
	t.Cleanup(func() {
		r.edge.Close()
		cancel()
		if err := <-served; err != nil {
			t.Errorf("serving RTMP: %v", err)
		}
		end, stop := context.WithTimeout(context.Background(), testkit.Patience())
		defer stop()
		if err := in.Shutdown(end); err != nil {
			t.Errorf("shutting the ingest down: %v", err)
		}
		r.web.CloseClientConnections()
		r.web.Close()
		r.secure.CloseClientConnections()
		r.secure.Close()
		r.hub.Close()
	})
	return r
}

// quiet drops what is logged after the end of a test.
type quiet struct{ t *testing.T }

func (q quiet) Helper() {}
func (q quiet) Log(args ...any) {
	if q.t.Context().Err() == nil {
		q.t.Log(args...)
	}
}

// publish starts ffmpeg as publisher and waits for the stream.
func (r *rig) publish(o testsrc.Options) (*testsrc.Publisher, *hub.Stream) {
	r.t.Helper()
	testkit.NeedFFmpeg(r.t)
	if o.Width == 0 {
		o.Width, o.Height = 320, 180
	}
	if o.BitrateKbps == 0 {
		o.BitrateKbps = 300
	}
	o.URL = fmt.Sprintf("rtmp://%s/live/stream?vhost=%s", r.rtmp, pushHost)
	o.Duration = 3 * testkit.Patience()
	p, err := testsrc.Publish(context.Background(), o)
	if err != nil {
		r.t.Fatal(err)
	}
	r.t.Cleanup(p.Kill)
	return p, r.stream(o.Audio)
}

// stream waits until the stream can be played and its ring has something.
func (r *rig) stream(audio bool) *hub.Stream {
	r.t.Helper()
	var s *hub.Stream
	testkit.Eventually(r.t, "the stream", func() bool {
		s = r.hub.Lookup(liveKey)
		return s != nil && s.Live() && s.Track(media.Video) != nil && (!audio || s.Track(media.Audio) != nil)
	})
	return s
}

// ffmpeg runs the program and gives what it wrote to standard output; it must complain about nothing.
func ffmpeg(t *testing.T, args ...string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 3*testkit.Patience())
	defer cancel()
	cmd := exec.CommandContext(
		ctx,
		"ffmpeg",
		append([]string{"-hide_banner", "-nostats", "-nostdin", "-loglevel", "repeat+warning"}, args...)...)
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	if err := cmd.Run(); err != nil {
		t.Fatalf("ffmpeg %s: %v\n%s", strings.Join(args, " "), err, errs.String())
	}
	for line := range strings.Lines(errs.String()) {
		// ffmpeg reads an initialisation segment again after it reloaded a playlist, and says so whatever the server.
		if !strings.Contains(line, "Found duplicated MOOV Atom") {
			t.Errorf("ffmpeg %s complains: %s", strings.Join(args, " "), line)
		}
	}
	return out.String()
}
