package transcode

import (
	"context"
	"fmt"
	"net"
	"testing"
	"time"

	"github.com/go-logr/logr/testr"

	"github.com/millrace/millrace/dataplane/hub"
	"github.com/millrace/millrace/dataplane/ingest"
	"github.com/millrace/millrace/dataplane/media"
	"github.com/millrace/millrace/internal/contract/plan"
	"github.com/millrace/millrace/internal/testkit"
	"github.com/millrace/millrace/internal/testsrc"
)

const (
	pushHost = "push.example.com"
	space    = "rts.example.com"
)

// rig is an ingest and a transcoder on one hub.
type rig struct {
	t       *testing.T
	hub     *hub.Hub
	current *plan.Current
	trans   *Transcoder
	address string
}

func newRig(t *testing.T, templates []plan.Template, change func(*Options)) *rig {
	t.Helper()
	testkit.NeedFFmpeg(t)
	r := &rig{t: t, hub: hub.New(hub.Options{}), current: plan.NewCurrent()}
	r.setTemplates(templates)
	log := testr.NewWithOptions(t, testr.Options{Verbosity: 1})
	in, err := ingest.New(ingest.Options{Hub: r.hub, Plan: r.current, Log: log.WithName("ingest")})
	if err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	r.address = l.Addr().String()
	ctx, cancel := context.WithCancel(context.Background())
	served := make(chan error, 1)
	go func() { served <- in.Serve(ctx, l) }()
	opt := Options{Hub: r.hub, Plan: r.current, Log: log, Encoder: X264}
	if change != nil {
		change(&opt)
	}
	if r.trans, err = New(t.Context(), opt); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		r.trans.Close()
		cancel()
		<-served
		// A session that is still ending would write to the log of a test that is over.
		ending, stop := context.WithTimeout(context.Background(), time.Minute)
		defer stop()
		if err := in.Shutdown(ending); err != nil {
			t.Error(err)
		}
		r.hub.Close()
	})
	return r
}

func (r *rig) setTemplates(templates []plan.Template) {
	for i := range templates {
		templates[i].Space = space
	}
	r.current.Store(plan.NewIndex(&plan.Plan{
		Push: []plan.PushDomain{{
			Hostname: pushHost, Space: space, Auth: plan.Auth{Type: plan.AuthNone}, BFrames: plan.Allow, H265: plan.Allow,
			Duplicate: plan.RejectNew,
		}},
		Templates: templates,
	}))
}

// publish publishes the test picture until the test ends.
func (r *rig) publish(name string, o testsrc.Options) *testsrc.Publisher {
	r.t.Helper()
	o.URL = fmt.Sprintf("rtmp://%s/live/%s?vhost=%s", r.address, name, pushHost)
	p, err := testsrc.Publish(r.t.Context(), o)
	if err != nil {
		r.t.Fatal(err)
	}
	r.t.Cleanup(p.Kill)
	return p
}

func key(name string) hub.Key { return hub.Key{Space: space, App: "live", Name: name} }

// await waits for a published stream.
func (r *rig) await(name string) *hub.Stream {
	r.t.Helper()
	var s *hub.Stream
	testkit.Eventually(r.t, "stream "+name, func() bool {
		var err error
		s, err = r.hub.Find(r.t.Context(), key(name))
		return err == nil && s.Facts().FPS > 0
	})
	return s
}

// find asks for a rendition.
func (r *rig) find(name string) *hub.Stream {
	r.t.Helper()
	ctx, cancel := context.WithTimeout(r.t.Context(), testkit.Patience())
	defer cancel()
	s, err := r.trans.Find(ctx, key(name))
	if err != nil {
		r.t.Fatalf("%s: %v", name, err)
	}
	return s
}

// read collects the frames of a stream for a time.
func (r *rig) read(s *hub.Stream, d time.Duration) []*media.Frame {
	r.t.Helper()
	ctx, cancel := context.WithTimeout(r.t.Context(), d)
	defer cancel()
	reader := s.NewReader()
	defer reader.Close()
	var all []*media.Frame
	for {
		f, err := reader.Next(ctx)
		if err != nil {
			return all
		}
		all = append(all, f)
	}
}

func of(kind media.Kind, frames []*media.Frame) []*media.Frame {
	var out []*media.Frame
	for _, f := range frames {
		if f.Kind() == kind {
			out = append(out, f)
		}
	}
	return out
}
