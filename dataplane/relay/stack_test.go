package relay

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/go-logr/logr/testr"
	"github.com/pion/webrtc/v4"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/millrace/millrace/dataplane/hub"
	"github.com/millrace/millrace/dataplane/media"
	"github.com/millrace/millrace/dataplane/relay/sdp"
	"github.com/millrace/millrace/internal/contract/plan"
	"github.com/millrace/millrace/internal/testkit"
)

const (
	rtsHost    = "rts.example.com"
	signedHost = "signed.example.com"
	stdHost    = "play.example.com"
)

var liveKey = hub.Key{Space: rtsHost, App: "live", Name: "stream"}

func testPlan() *plan.Plan {
	return &plan.Plan{
		Class: "default",
		Play: []plan.PlayDomain{
			{Hostname: "offline.example.com", Type: plan.RTS, Space: rtsHost, Offline: true},
			{Hostname: "page.example.com", Type: plan.RTS, Space: rtsHost, Referers: []string{"*.good.example"}},
			{Hostname: "private.example.com", Type: plan.RTS, Space: rtsHost, IPs: []string{"203.0.113.0/24"}},
			{Hostname: "small.example.com", Type: plan.RTS, Space: rtsHost, MaxViewers: 1},
			{Hostname: "other.example.com", Type: plan.RTS, Role: plan.Main, Space: "other.example.com"},
			{Hostname: stdHost, Type: plan.Standard, Space: rtsHost, Protocols: []plan.Protocol{plan.FLV}},
			{Hostname: rtsHost, Type: plan.RTS, Role: plan.Main, Space: rtsHost},
			{
				Hostname: signedHost,
				Type:     plan.RTS,
				Space:    rtsHost,
				Auth:     plan.Auth{Type: plan.AuthA, Primary: "rtsdemokey123456"},
			},
		},
		Templates: []plan.Template{{Space: rtsHost, ID: "hd", Type: plan.TemplateH264, DropB: true, AudioCodec: "Opus"}},
	}
}

// stack is a relay behind an HTTP server, and a stream that the test writes.
type stack struct {
	t       *testing.T
	hub     *hub.Hub
	current *plan.Current
	relay   *Relay
	web     *httptest.Server
	pub     *hub.Publication
	video   *media.Track
	at      time.Duration

	registry *prometheus.Registry
}

func newStack(t *testing.T, change func(*Options)) *stack {
	t.Helper()
	s := &stack{t: t, hub: hub.New(hub.Options{}), current: plan.NewCurrent(), video: &media.Track{
		Codec: media.H264, Width: 640, Height: 360, SPS: []byte{0x67, 0x42, 0xc0, 0x1e, 0xda, 0x02, 0x80, 0xbf, 0xe5},
		PPS: []byte{0x68, 0xce, 0x3c, 0x80},
	}}
	s.current.Store(plan.NewIndex(testPlan()))
	s.registry = prometheus.NewRegistry()
	opt := Options{
		Hub:     s.hub,
		Plan:    s.current,
		Log:     testr.New(t),
		Metrics: s.registry,
		Listen:  []netip.AddrPort{netip.MustParseAddrPort("127.0.0.1:0")},
	}
	if change != nil {
		change(&opt)
	}
	var err error
	if s.relay, err = New(opt); err != nil {
		t.Fatal(err)
	}
	s.web = httptest.NewServer(s.relay)
	t.Cleanup(func() {
		s.web.Close()
		s.relay.Close()
		s.hub.Close()
	})
	return s
}

// publish begins the stream, or goes on with a new publisher after a break.
func (s *stack) publish(tracks ...*media.Track) {
	s.t.Helper()
	if len(tracks) == 0 {
		tracks = []*media.Track{s.video}
	}
	pub, err := s.hub.Publish(liveKey, hub.Publisher{})
	if err != nil {
		s.t.Fatal(err)
	}
	s.pub = pub
	pub.SetTracks(tracks)
	s.gop(10)
}

func (s *stack) gop(frames int) {
	s.t.Helper()
	for i := range frames {
		f := &media.Frame{
			Track:  s.video,
			Key:    i == 0,
			DTS:    s.at,
			PTS:    s.at,
			Ingest: time.Now(),
			Units:  [][]byte{bytes.Repeat([]byte{0x41}, 3000)},
		}
		if f.Key {
			f.Units = [][]byte{s.video.SPS, s.video.PPS, bytes.Repeat([]byte{0x65}, 3000)}
		}
		for _, u := range f.Units {
			f.Size += len(u)
		}
		if err := s.pub.Write(f); err != nil {
			s.t.Fatal(err)
		}
		s.at += 40 * time.Millisecond
	}
}

// keepWriting writes frames until the test ends.
func (s *stack) keepWriting() {
	stop, stopped := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(stopped)
		tick := time.NewTicker(20 * time.Millisecond)
		defer tick.Stop()
		for {
			select {
			case <-stop:
				return
			case <-tick.C:
				s.gop(5)
			}
		}
	}()
	s.t.Cleanup(func() {
		close(stop)
		<-stopped
	})
}

// request sends a request to a host of the relay.
func (s *stack) request(method, host, path, contentType, body string, headers ...string) (*http.Response, string) {
	s.t.Helper()
	req, err := http.NewRequest(method, s.web.URL+path, strings.NewReader(body))
	if err != nil {
		s.t.Fatal(err)
	}
	req.Host = host
	if contentType != "" {
		req.Header.Set("Content-Type", contentType)
	}
	for i := 0; i+1 < len(headers); i += 2 {
		req.Header.Set(headers[i], headers[i+1])
	}
	res, err := s.web.Client().Do(req)
	if err != nil {
		s.t.Fatal(err)
	}
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	if err != nil {
		s.t.Fatal(err)
	}
	return res, string(b)
}

// client is a WebRTC player by pion.
type client struct {
	t       *testing.T
	pc      *webrtc.PeerConnection
	offer   string
	packets chan *packet
	closed  chan struct{}
}

type packet struct {
	kind   webrtc.RTPCodecType
	seq    uint16
	ts     uint32
	marker bool
	key    bool
	spare  bool   // of a frame that nobody refers to
	delay  []byte // playout-delay
}

func newClient(t *testing.T, change func(*webrtc.SettingEngine)) *client {
	t.Helper()
	var se webrtc.SettingEngine
	se.SetIncludeLoopbackCandidate(true)
	if change != nil {
		change(&se)
	}
	m := &webrtc.MediaEngine{}
	if err := m.RegisterDefaultCodecs(); err != nil {
		t.Fatal(err)
	}
	if err := m.RegisterHeaderExtension(webrtc.RTPHeaderExtensionCapability{URI: sdp.ExtPlayoutDelay},
		webrtc.RTPCodecTypeVideo); err != nil {
		t.Fatal(err)
	}
	return newClientOf(t, webrtc.WithSettingEngine(se), webrtc.WithMediaEngine(m))
}

// newClientOf is a player by a stock of pion's.
func newClientOf(t *testing.T, options ...func(*webrtc.API)) *client {
	t.Helper()
	pc, err := webrtc.NewAPI(options...).NewPeerConnection(webrtc.Configuration{})
	if err != nil {
		t.Fatal(err)
	}
	c := &client{t: t, pc: pc, packets: make(chan *packet, 10_000), closed: make(chan struct{})}
	t.Cleanup(func() { _ = pc.Close() })
	for _, kind := range []webrtc.RTPCodecType{webrtc.RTPCodecTypeAudio, webrtc.RTPCodecTypeVideo} {
		if _, err := pc.AddTransceiverFromKind(kind,
			webrtc.RTPTransceiverInit{Direction: webrtc.RTPTransceiverDirectionRecvonly}); err != nil {
			t.Fatal(err)
		}
	}
	pc.OnTrack(func(track *webrtc.TrackRemote, receiver *webrtc.RTPReceiver) {
		var delay uint8
		for _, extension := range receiver.GetParameters().HeaderExtensions {
			if extension.URI == sdp.ExtPlayoutDelay {
				delay = uint8(extension.ID)
			}
		}
		for {
			p, _, err := track.ReadRTP()
			if err != nil {
				return
			}
			c.packets <- &packet{track.Kind(), p.SequenceNumber, p.Timestamp, p.Marker, len(p.Payload) > 0 &&
				p.Payload[0]&0x1f == 24, len(p.Payload) > 0 && p.Payload[0]&0x60 == 0, p.GetExtension(delay)}
		}
	})
	once := make(chan struct{}, 1)
	pc.OnConnectionStateChange(func(state webrtc.PeerConnectionState) {
		if state == webrtc.PeerConnectionStateClosed || state == webrtc.PeerConnectionStateFailed ||
			state == webrtc.PeerConnectionStateDisconnected {
			select {
			case once <- struct{}{}:
				close(c.closed)
			default:
			}
		}
	})
	offer, err := pc.CreateOffer(nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := pc.SetLocalDescription(offer); err != nil {
		t.Fatal(err)
	}
	c.offer = offer.SDP // no candidates, as browsers send it
	return c
}

func (c *client) answer(answer string) {
	c.t.Helper()
	if err := c.pc.SetRemoteDescription(webrtc.SessionDescription{Type: webrtc.SDPTypeAnswer, SDP: answer}); err != nil {
		c.t.Fatalf("%v in answer:\n%s", err, answer)
	}
}

// next waits for a packet of video.
func (c *client) next() *packet {
	c.t.Helper()
	for {
		select {
		case p := <-c.packets:
			if p.kind == webrtc.RTPCodecTypeVideo {
				return p
			}
		case <-time.After(testkit.Patience()):
			c.t.Fatal("no packet came")
		}
	}
}

// drain takes what has come and gives the last packet of video; nil when there is none. It does not wait: what is there
// may be sound.
func (c *client) drain() (last *packet) {
	for {
		select {
		case p := <-c.packets:
			if p.kind == webrtc.RTPCodecTypeVideo {
				last = p
			}
		default:
			return last
		}
	}
}

func (c *client) awaitClosed() {
	c.t.Helper()
	select {
	case <-c.closed:
	case <-time.After(testkit.Patience()):
		c.t.Fatal("the player was not told that it is over")
	}
}

// whep joins by WHEP and gives the URL path of the session.
func (s *stack) whep(c *client, host string) string {
	s.t.Helper()
	res, body := s.request("POST", host, "/live/stream", "application/sdp", c.offer)
	if res.StatusCode != http.StatusCreated {
		s.t.Fatalf("%s: %s", res.Status, body)
	}
	c.answer(body)
	return res.Header.Get("Location")
}

func artcBody(offer string) string {
	b, _ := json.Marshal(map[string]any{
		"version": 2, "sdk_version": "0.0.1", "mode": "live", "jsep": map[string]string{"type": "offer", "sdp": offer},
		"pull_streams": []any{
			map[string]any{
				"url":   "artc://" + rtsHost + "/live/stream",
				"amsid": []string{"rts audio"},
				"vmsid": []string{"rts video"},
			},
		},
	})
	return string(b)
}
