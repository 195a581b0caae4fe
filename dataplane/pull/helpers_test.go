package pull

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"testing"
	"time"

	"github.com/go-logr/logr"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/millrace/millrace/dataplane/hub"
	"github.com/millrace/millrace/dataplane/ingest"
	"github.com/millrace/millrace/dataplane/media"
	"github.com/millrace/millrace/internal/contract/plan"
	"github.com/millrace/millrace/internal/testkit"
	"github.com/millrace/millrace/internal/testsrc"
)

const (
	pushHost = "push.example.com"
	space    = "play.example.com"
)

func streamKey() hub.Key { return hub.Key{Space: space, App: "live", Name: "one"} }

const streamPath = "/" + space + "/live/one"

func listen(t *testing.T) net.Listener {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func newHub(t *testing.T) *hub.Hub {
	t.Helper()
	h := hub.New(hub.Options{Hold: testkit.Patience(), MaxAge: testkit.Patience()})
	t.Cleanup(h.Close)
	return h
}

// rig is a Server on a free port, over a hub.
type rig struct {
	hub     *hub.Hub
	address string
	metrics *prometheus.Registry
	stop    context.CancelFunc // cuts all readers
}

func serve(t *testing.T, h *hub.Hub, change func(*ServerOptions)) *rig {
	t.Helper()
	r := &rig{hub: h, metrics: prometheus.NewRegistry()}
	// Limits in time are long: a test that is about one sets it.
	opt := ServerOptions{
		Hub:       h,
		Metrics:   r.metrics,
		Log:       logr.Discard(),
		SetupTime: testkit.Patience(),
		StallTime: testkit.Patience(),
	}
	if change != nil {
		change(&opt)
	}
	s, err := NewServer(opt)
	if err != nil {
		t.Fatal(err)
	}
	l := listen(t)
	r.address = l.Addr().String()
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- s.Serve(ctx, l) }()
	r.stop = cancel
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("serving: %v", err)
		}
	})
	return r
}

// count is the sum of a counter over those of its labels that have a value; an empty one takes all.
func (r *rig) count(t *testing.T, name, reason string) float64 {
	t.Helper()
	families, err := r.metrics.Gather()
	if err != nil {
		t.Fatal(err)
	}
	sum := 0.0
	for _, f := range families {
		if f.GetName() != name {
			continue
		}
		for _, m := range f.GetMetric() {
			if reason == "" || m.GetLabel()[0].GetValue() == reason {
				sum += m.GetCounter().GetValue() + m.GetGauge().GetValue()
			}
		}
	}
	return sum
}

// pullInto runs a client in the background.
func (r *rig) pullInto(t *testing.T, to *hub.Hub) <-chan error {
	t.Helper()
	return runClient(t, &Client{URL: "rtsp://" + r.address + streamPath, Hub: to, Key: streamKey()})
}

func runClient(t *testing.T, c *Client) <-chan error {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	c.Log = logr.Discard()
	if c.Timeout == 0 {
		c.Timeout = testkit.Patience()
	}
	done, ended := make(chan error, 1), make(chan struct{})
	go func() {
		defer close(ended)
		done <- c.Run(ctx)
	}()
	t.Cleanup(func() {
		cancel()
		<-ended
	})
	return done
}

func publish(t *testing.T, h *hub.Hub, tracks ...*media.Track) *hub.Publication {
	t.Helper()
	p, err := h.Publish(streamKey(), hub.Publisher{Remote: "test", Replace: true})
	if err != nil {
		t.Fatal(err)
	}
	p.SetTracks(tracks)
	return p
}

func write(t *testing.T, p *hub.Publication, f *media.Frame) {
	t.Helper()
	one := *f
	if err := p.Write(&one); err != nil {
		t.Fatalf("writing a frame: %v", err)
	}
}

func result(t *testing.T, done <-chan error) error {
	t.Helper()
	select {
	case err := <-done:
		return err
	case <-time.After(testkit.Patience()):
		t.Fatal("the pull does not end")
		return nil
	}
}

// reader waits for the stream and reads it.
func reader(t *testing.T, h *hub.Hub) *hub.Reader {
	t.Helper()
	testkit.Eventually(t, "the stream appears", func() bool { return h.Lookup(streamKey()) != nil })
	r := h.Lookup(streamKey()).NewReader()
	t.Cleanup(r.Close)
	return r
}

func next(t *testing.T, r *hub.Reader) *media.Frame {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), testkit.Patience())
	defer cancel()
	f, err := r.Next(ctx)
	if err != nil {
		t.Fatalf("reading a frame: %v", err)
	}
	return f
}

func wantEOF(t *testing.T, r *hub.Reader) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), testkit.Patience())
	defer cancel()
	for {
		_, err := r.Next(ctx)
		if errors.Is(err, io.EOF) {
			return
		}
		if err != nil {
			t.Fatalf("want the end of the stream, got %v", err)
		}
	}
}

func content(f *media.Frame) string { return string(bytes.Join(f.Units, []byte{0, 0, 1})) }

// encode publishes a test stream with ffmpeg to an ingest before h.
func encode(t *testing.T, h *hub.Hub, o testsrc.Options) *testsrc.Publisher {
	t.Helper()
	testkit.NeedFFmpeg(t)
	current := plan.NewCurrent()
	current.Store(plan.NewIndex(&plan.Plan{Push: []plan.PushDomain{{
		Hostname: pushHost, Space: space, Auth: plan.Auth{Type: plan.AuthNone}, BFrames: plan.Allow, H265: plan.Allow,
		Duplicate: plan.RejectNew,
	}}}))
	in, err := ingest.New(
		ingest.Options{
			Hub:                h,
			Plan:               current,
			Log:                logr.Discard(),
			NegotiationTimeout: testkit.Patience(),
			IdleTimeout:        testkit.Patience(),
		},
	)
	if err != nil {
		t.Fatal(err)
	}
	l := listen(t)
	ctx, cancel := context.WithCancel(context.Background())
	served := make(chan struct{})
	go func() {
		defer close(served)
		_ = in.Serve(ctx, l) // the test's end
	}()
	o.URL = "rtmp://" + l.Addr().String() + "/live/one?vhost=" + pushHost
	o.Width, o.Height, o.FPS = 320, 180, 15
	p, err := testsrc.Publish(ctx, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		p.Kill()
		cancel()
		<-served
	})
	testkit.Eventually(t, "ffmpeg publishes", func() bool {
		s := h.Lookup(streamKey())
		want := 0
		for _, on := range []bool{!o.NoVideo, o.Audio || o.NoVideo} {
			if on {
				want++
			}
		}
		return s != nil && len(s.Tracks()) == want
	})
	return p
}

// recording is real frames with ingest times that follow their DTS exactly.
func recording(t *testing.T, o testsrc.Options, frames int) ([]*media.Track, []*media.Frame) {
	t.Helper()
	h := newHub(t)
	encode(t, h, o)
	r := reader(t, h)
	var all []*media.Frame
	zero := time.Now().Add(-time.Hour).Round(0)
	for len(all) < frames {
		one := *next(t, r)
		one.Ingest = zero.Add(one.DTS)
		all = append(all, &one)
	}
	return h.Lookup(streamKey()).Tracks(), all
}
