package e2e

import (
	"bytes"
	"context"
	"encoding/binary"
	"net"
	"net/http/httptest"
	"net/netip"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/go-logr/logr/testr"
	"github.com/pion/dtls/v3"

	"github.com/millrace/millrace/dataplane/hub"
	"github.com/millrace/millrace/dataplane/media"
	"github.com/millrace/millrace/dataplane/relay"
	"github.com/millrace/millrace/e2e/lossy"
	"github.com/millrace/millrace/internal/contract/plan"
	"github.com/millrace/millrace/internal/play/join"
	"github.com/millrace/millrace/internal/play/lean"
	"github.com/millrace/millrace/internal/play/meter"
	"github.com/millrace/millrace/internal/testkit"
)

// badNetwork is a relay with a stream, and one viewer behind a network that the test makes bad.
type badNetwork struct {
	t      *testing.T
	relay  *relay.Relay
	proxy  *lossy.Proxy
	viewer *meter.Viewer
	size   atomic.Int64 // bytes of the frames that are written now

	mu   sync.Mutex
	lost map[uint64]bool // SSRC and sequence number of each RTP packet that was dropped on its way to the viewer, once
}

const lossHost = "rts.example.com"

// newBadNetwork starts all of it and returns when the viewer has a picture. Key frames come every keyEvery frames;
// offer may change the viewer's offer.
func newBadNetwork(t *testing.T, keyEvery int, offer func(string) string) *badNetwork {
	t.Helper()
	current := plan.NewCurrent()
	current.Store(
		plan.NewIndex(
			&plan.Plan{
				Class: "test",
				Play:  []plan.PlayDomain{{Hostname: lossHost, Type: plan.RTS, Role: plan.Main, Space: lossHost}},
			},
		),
	)
	h := hub.New(hub.Options{})
	t.Cleanup(h.Close)
	r, err := relay.New(
		relay.Options{
			Hub:    h,
			Plan:   current,
			Log:    testr.New(t),
			Listen: []netip.AddrPort{netip.MustParseAddrPort("127.0.0.1:0")},
		},
	)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(r.Close)
	web := httptest.NewServer(r)
	t.Cleanup(web.Close)

	n := &badNetwork{t: t, relay: r, viewer: meter.NewViewer(time.Now(), false), lost: map[uint64]bool{}}
	n.size.Store(3000)
	if n.proxy, err = lossy.New(lossy.Options{Seed: 7, Link: lossy.Link{Delay: 5 * time.Millisecond},
		Lost: n.remember}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(n.proxy.Close)
	front, err := lossy.NewFront(t.Context(), n.proxy, web.Listener.Addr().String(), offer)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(front.Close)

	ctx, cancel := context.WithCancel(t.Context())
	var work sync.WaitGroup
	work.Go(func() { n.writeFrames(ctx, h, keyEvery) })
	t.Cleanup(func() {
		cancel()
		work.Wait()
	})
	engine, err := lean.NewEngine(
		lean.Options{
			Decrypt:    lean.DecryptSample,
			ReadBuffer: 4 << 20,
			Profiles:   []dtls.SRTPProtectionProfile{dtls.SRTP_AEAD_AES_128_GCM},
		},
	)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(engine.Close) // runs after the cleanup below has ended the viewer
	_, port, err := net.SplitHostPort(front.Addr())
	if err != nil {
		t.Fatal(err)
	}
	target, err := join.Parse(
		"http://"+net.JoinHostPort(lossHost, port)+"/live/stream",
		join.Options{Connect: front.Addr()},
	)
	if err != nil {
		t.Fatal(err)
	}
	testkit.Eventually(
		t,
		"the stream",
		func() bool { return len(h.Streams()) == 1 && len(h.Streams()[0].Tracks()) == 1 },
	)
	watching, leave := context.WithCancel(ctx)
	work.Go(func() {
		if err := engine.Watch(watching, target, n.viewer); err != nil && watching.Err() == nil {
			t.Error(err)
		}
	})
	t.Cleanup(func() {
		leave()
		work.Wait()
	})
	t.Cleanup(cancel)
	testkit.Eventually(t, "the first picture", func() bool { return n.look().DecodableFrames > 30 })
	return n
}

// writeFrames publishes 30 frames a second of some packets each, until the context ends.
func (n *badNetwork) writeFrames(ctx context.Context, h *hub.Hub, keyEvery int) {
	pub, err := h.Publish(hub.Key{Space: lossHost, App: "live", Name: "stream"}, hub.Publisher{})
	if err != nil {
		n.t.Error(err)
		return
	}
	track := &media.Track{
		Codec: media.H264, Width: 640, Height: 360, SPS: []byte{0x67, 0x42, 0xc0, 0x1e, 0xda, 0x02, 0x80, 0xbf, 0xe5},
		PPS: []byte{0x68, 0xce, 0x3c, 0x80},
	}
	pub.SetTracks([]*media.Track{track})
	tick := time.NewTicker(time.Second / 30)
	defer tick.Stop()
	for i := 0; ; i++ {
		at := time.Duration(i) * time.Second / 30
		f := &media.Frame{
			Track:  track,
			Key:    i%keyEvery == 0,
			DTS:    at,
			PTS:    at,
			Ingest: time.Now(),
			Units:  [][]byte{bytes.Repeat([]byte{0x41}, int(n.size.Load()))},
		}
		if f.Key {
			f.Units = [][]byte{track.SPS, track.PPS, bytes.Repeat([]byte{0x65}, 3000)}
		}
		for _, u := range f.Units {
			f.Size += len(u)
		}
		if err := pub.Write(f); err != nil {
			n.t.Error(err)
			return
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

// remember keeps which RTP packets of the viewer were dropped; a repeat of a packet as it was has the same number.
func (n *badNetwork) remember(way lossy.Direction, b []byte) {
	if way != lossy.ToPlayer || len(b) < 12 || b[0]>>6 != 2 || b[1] >= 192 && b[1] <= 223 { // RFC 5761, 4
		return
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	n.lost[uint64(binary.BigEndian.Uint32(b[8:]))<<16|uint64(binary.BigEndian.Uint16(b[2:]))] = true
}

// lostOf counts the different packets dropped per SSRC.
func (n *badNetwork) lostOf() map[uint32]uint64 {
	n.mu.Lock()
	defer n.mu.Unlock()
	out := map[uint32]uint64{}
	for id := range n.lost {
		out[uint32(id>>16)]++
	}
	return out
}

func (n *badNetwork) look() meter.Stats { return n.viewer.Snapshot(time.Now()) }

// lose drops packets until the viewer has got some more frames.
func (n *badNetwork) lose(share float64, frames uint64) {
	n.t.Helper()
	n.proxy.Set(lossy.Link{Loss: share, Delay: 5 * time.Millisecond})
	until := n.look().DecodableFrames + frames
	testkit.Eventually(n.t, "frames in spite of the loss", func() bool { return n.look().DecodableFrames >= until })
	n.proxy.Set(lossy.Link{Delay: 5 * time.Millisecond})
}

// heals wants all to be well again: no packet is waited for, and of the next frames all decode.
func (n *badNetwork) heals() {
	n.t.Helper()
	var from meter.Stats
	const frames = 60
	testkit.Eventually(n.t, "a clean picture after the loss", func() bool {
		now := n.look()
		if now.DamagedFrames != from.DamagedFrames || now.Lost != 0 && now.Lost != from.Lost ||
			now.Asked != from.Asked ||
			from.Frames == 0 {
			from = now // still repairing: count from here
			return false
		}
		if now.Frames-from.Frames < frames {
			return false
		}
		if now.DecodableFrames-from.DecodableFrames != now.Frames-from.Frames {
			from = now
			return false
		}
		return true
	})
}

func TestLossIsRepaired(t *testing.T) {
	for name, offer := range map[string]func(string) string{"RTX": nil, "repeats as they were": lossy.WithoutRTX} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			n := newBadNetwork(t, 60, offer)
			// A viewer of a stream without sound gets four packets of silence, one a second, which nothing repairs.
			testkit.Eventually(t, "the end of silence", func() bool { return n.look().DecodableFrames > 150 })
			n.lose(0.1, 200)
			n.heals()
			got, dropped := n.look(), n.lostOf()
			var media uint64 // dropped of the picture's own SSRC: it loses more than that of the repeats
			for _, count := range dropped {
				media = max(media, count)
			}
			if media == 0 || got.Recovered+got.Lost != media || got.Reordered != 0 {
				t.Errorf(
					"recovered %d, lost for good %d, reordered %d; the network dropped %v",
					got.Recovered,
					got.Lost,
					got.Reordered,
					dropped,
				)
			}
			if withRTX := len(dropped) > 1; withRTX != (offer == nil) {
				t.Errorf("packets of %d SSRCs were dropped", len(dropped))
			}
			if repeats := n.relay.List()[0].Repeats; repeats < got.Recovered {
				t.Errorf("the relay repeated %d packets, the viewer got back %d", repeats, got.Recovered)
			}
		})
	}
}

func TestViewerComesBackFromAnOutage(t *testing.T) {
	t.Parallel()
	n := newBadNetwork(t, 1_000_000, nil) // one key frame, at the beginning: no other can help
	before := n.look()
	// More is lost than a viewer remembers and than the relay sends again: repeats cannot make it good.
	n.proxy.Set(lossy.Link{Loss: 1})
	n.size.Store(50_000)
	time.Sleep(2 * time.Second) // the outage itself
	n.size.Store(3000)
	n.proxy.Set(lossy.Link{})
	testkit.Eventually(
		t,
		"a second showing of the key frame",
		func() bool { return n.look().KeyFrames > before.KeyFrames },
	)
	n.heals()
	got := n.look()
	if got.KeyRequests == 0 || n.relay.Sessions() != 1 {
		t.Errorf("%d requests for a key frame, %d sessions: %+v", got.KeyRequests, n.relay.Sessions(), got)
	}
}
