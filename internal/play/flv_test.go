package play_test

import (
	"bytes"
	"encoding/json"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/millrace/millrace/dataplane/edge"
	"github.com/millrace/millrace/dataplane/hub"
	"github.com/millrace/millrace/dataplane/media"
	"github.com/millrace/millrace/internal/contract/plan"
	"github.com/millrace/millrace/internal/play"
	"github.com/millrace/millrace/internal/play/join"
)

// flvServer is an edge with a stream, which ends when the test says so.
func flvServer(t *testing.T) (addr string, end func()) {
	t.Helper()
	const host = "play.example.com"
	current := plan.NewCurrent()
	current.Store(plan.NewIndex(&plan.Plan{Class: "test", Play: []plan.PlayDomain{
		{
			Hostname:  host,
			Type:      plan.Standard,
			Role:      plan.Main,
			Space:     host,
			Protocols: []plan.Protocol{plan.FLV},
			Auth:      plan.Auth{Type: plan.AuthNone},
		},
	}}))
	h := hub.New(hub.Options{})
	e, err := edge.New(edge.Options{Hub: h, Plan: current})
	if err != nil {
		t.Fatal(err)
	}
	web := httptest.NewServer(e)
	pub, err := h.Publish(hub.Key{Space: host, App: "live", Name: "stream"}, hub.Publisher{})
	if err != nil {
		t.Fatal(err)
	}
	track := &media.Track{
		Codec:  media.H264,
		Width:  352,
		Height: 288,
		SPS: []byte{
			0x67,
			0x64,
			0x00,
			0x0c,
			0xac,
			0x3b,
			0x50,
			0xb0,
			0x4b,
			0x42,
			0x00,
			0x00,
			0x03,
			0x00,
			0x02,
			0x00,
			0x00,
			0x03,
			0x00,
			0x3d,
			0x08,
		},
		PPS: []byte{0x68, 0xce, 0x3c, 0x80},
	}
	pub.SetTracks([]*media.Track{track})
	stop, stopped := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(stopped)
		defer pub.End()
		tick := time.NewTicker(20 * time.Millisecond)
		defer tick.Stop()
		for n := 0; ; n++ {
			at := time.Duration(n) * 20 * time.Millisecond
			f := &media.Frame{
				Track:  track,
				Key:    n%25 == 0,
				DTS:    at,
				PTS:    at,
				Ingest: time.Now(),
				Units:  [][]byte{append([]byte{0x65, byte(n >> 8), byte(n)}, make([]byte, 1500)...)},
				Size:   1503,
			}
			if pub.Write(f) != nil {
				return
			}
			select {
			case <-stop:
				return
			case <-tick.C:
			}
		}
	}()
	var once sync.Once
	end = func() {
		once.Do(func() { close(stop) })
		<-stopped
	}
	t.Cleanup(func() {
		end()
		e.Close()
		web.CloseClientConnections()
		web.Close()
		h.Close()
	})
	return web.Listener.Addr().String(), end
}

// Viewers of FLV get every tag, over HTTP and over WebSocket, and the report says so.
func TestFLVViewersGetEveryTag(t *testing.T) {
	addr, _ := flvServer(t)
	for url, protocol := range map[string]string{"http://play.example.com/live/stream.flv?a=secret": "http-flv",
		"ws://play.example.com/live/stream.flv?a=secret": "ws-flv"} {
		r, err := play.RunFLV(
			t.Context(),
			play.FLVOptions{
				URL:      url,
				Join:     join.Options{Connect: addr},
				Viewers:  20,
				Slow:     2,
				SlowKbps: 10,
				Duration: 3 * time.Second,
				Wait:     time.Minute,
			},
		)
		if err != nil {
			t.Fatal(err)
		}
		if r.Failure() != nil || r.Playing != 20 || r.Protocol != protocol ||
			r.Total.Lost+r.Total.Differing+r.Total.Backwards != 0 ||
			r.Total.Tags < 20*50 ||
			r.FirstFrameMs == nil ||
			r.LatencyMs == nil {
			t.Errorf("%s: %v, %+v", protocol, r.Failure(), r)
		}
		if r.Slow == nil || r.Slow.Readers != 2 || r.Slow.Bytes == 0 || r.Slow.Bytes > 2*20_000 {
			t.Errorf("%s: slow readers %+v", protocol, r.Slow)
		}
		var text bytes.Buffer
		r.Text(&text)
		raw, err := json.Marshal(r)
		if err != nil || strings.Contains(text.String()+string(raw), "secret") ||
			!strings.Contains(text.String(), "20 of 20") {
			t.Errorf("%v: %s", err, text.String())
		}
	}
}

// The end of the stream ends the play; what cannot be played is told.
func TestFLVEndsAndRefusals(t *testing.T) {
	addr, _ := flvServer(t)
	r, err := play.RunFLV(
		t.Context(),
		play.FLVOptions{URL: "http://other.example.com/live/stream.flv", Join: join.Options{Connect: addr}, Viewers: 3},
	)
	if err != nil || r.Failure() == nil ||
		!strings.Contains(r.Failure().Error(), "3 of 3 viewers had no picture: the server answers 404") {
		t.Errorf("%v, %v", err, r.Failure())
	}
	for _, scheme := range []string{"http", "ws"} {
		addr, end := flvServer(t)
		r, err := play.RunFLV(t.Context(), play.FLVOptions{
			URL: scheme + "://play.example.com/live/stream.flv", Join: join.Options{Connect: addr}, Viewers: 3,
			Wait: time.Minute,
			Progress: func(p play.Progress) {
				if p.Playing == 3 {
					end()
				}
			},
		})
		if err != nil {
			t.Fatal(err)
		}
		if r.Failure() != nil || len(r.Endings) != 1 || r.Endings[0].Reason != "ended by the server" ||
			r.Endings[0].Viewers != 3 {
			t.Errorf("%s: endings %+v, %v", scheme, r.Endings, r.Failure())
		}
	}
	for _, o := range []play.FLVOptions{{URL: "http://a/b.flv"}, {URL: "http://a/b.flv", Viewers: 1, Slow: 1},
		{URL: "rtmp://a/b", Viewers: 1}, {URL: "http://a/b.flv", Viewers: 1, Join: join.Options{Connect: "x"}}} {
		if _, err := play.RunFLV(t.Context(), o); err == nil {
			t.Errorf("%+v is played", o)
		}
	}
}
