package relay

import (
	"encoding/binary"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/pion/stun/v4"

	"github.com/millrace/millrace/dataplane/door"
	"github.com/millrace/millrace/dataplane/hub"
	"github.com/millrace/millrace/dataplane/media"
	"github.com/millrace/millrace/internal/contract/plan"
	"github.com/millrace/millrace/internal/testkit"
)

func TestRefusals(t *testing.T) {
	s := newStack(t, nil)
	s.publish()
	offer := newClient(t, nil).offer
	const (
		sdp   = "application/sdp"
		stamp = "4102444800" // far in the future
	)
	audioOnly := strings.ReplaceAll(offer, "H264/90000", "XH264/90000")
	for _, c := range []struct {
		name, host, path, contentType, body string
		status                              int
		reason                              string
		headers                             []string
	}{
		{"unknown domain", "nobody.example.com", "/live/stream", sdp, offer, 404, "UnknownDomain", nil},
		{"address", "192.0.2.1:8080", "/live/stream", sdp, offer, 404, "UnknownDomain", nil},
		{"standard domain", stdHost, "/live/stream", sdp, offer, 404, "UnknownDomain", nil},
		{"offline", "offline.example.com", "/live/stream", sdp, offer, 403, "DomainOffline", nil},
		{"other address", "private.example.com", "/live/stream", sdp, offer, 403, "AddressNotAllowed", nil},
		{"no referer", "page.example.com", "/live/stream", sdp, offer, 403, "RefererNotAllowed", nil},
		{"other referer", "page.example.com", "/live/stream", sdp, offer, 403, "RefererNotAllowed",
			[]string{"Referer", "https://bad.example/x"}},
		{"good referer", "page.example.com", "/live/stream", sdp, offer, 201, "",
			[]string{"Referer", "https://www.good.example/x"}},
		{"not signed", signedHost, "/live/stream", sdp, offer, 403, "SignatureMissing", nil},
		{"signature expired", signedHost, "/live/stream?auth_key=1735689600-0-0-879aa9f4283cdbdd336e2b0ba876f021", sdp, offer,
			403, "SignatureExpired", nil},
		{"signature wrong", signedHost, "/live/stream?auth_key=" + stamp + "-0-0-879aa9f4283cdbdd336e2b0ba876f021", sdp,
			offer, 403, "SignatureInvalid", nil},
		{"no stream, WHEP", rtsHost, "/live/none", sdp, offer, 409, "StreamNotFound", nil},
		{"no stream, ARTC", rtsHost, "/live/none", "application/json", artcBody(offer), 404, "StreamNotFound", nil},
		{"unknown template", rtsHost, "/live/stream_4k", "application/json", artcBody(offer), 404, "StreamNotFound", nil},
		{"path too short", rtsHost, "/live", sdp, offer, 404, "NotAStream", nil},
		{"path too long", rtsHost, "/live/a/b", sdp, offer, 404, "NotAStream", nil},
		{"not SDP", rtsHost, "/live/stream", sdp, "hello", 400, "InvalidOffer", nil},
		{"SDP without transport", rtsHost, "/live/stream", sdp, "v=0\r\no=- 1 1 IN IP4 0.0.0.0\r\ns=-\r\nt=0 0\r\nm=video " +
			"9 UDP/TLS/RTP/SAVPF 96\r\n", 400, "InvalidOffer", nil},
		{"passive offer", rtsHost, "/live/stream", sdp, strings.ReplaceAll(offer, "setup:actpass", "setup:passive"), 400,
			"InvalidOffer", nil},
		{"no H.264", rtsHost, "/live/stream", sdp, audioOnly, 415, "CodecNotOffered", nil},
		{"not JSON", rtsHost, "/live/stream", "application/json", "{", 400, "InvalidJSON", nil},
		{"no offer", rtsHost, "/live/stream", "application/json", "{}", 400, "OfferMissing", nil},
		{"publish", rtsHost, "/live/stream", "application/json", `{"push_stream":"artc://x/y/z"}`, 405, "PublishNotServed",
			nil},
		{"too large", rtsHost, "/live/stream", sdp, strings.Repeat("a", 65<<10), 413, "BodyTooLarge", nil},
	} {
		res, body := s.request("POST", c.host, c.path, c.contentType, c.body, c.headers...)
		if res.StatusCode != c.status || !strings.Contains(body, c.reason) {
			t.Errorf("%s: %s %s", c.name, res.Status, body)
		}
		if c.reason == "StreamNotFound" && res.Header.Get("Retry-After") == "" {
			t.Errorf("%s: no Retry-After", c.name)
		}
		if c.status >= 400 && res.Header.Get("Access-Control-Allow-Origin") != "*" {
			t.Errorf("%s: a page could not read the reason", c.name)
		}
	}
}

// A source that the player would show wrongly is refused with what would play.
func TestUnplayableSourcesAreRefusedWithTheRemedy(t *testing.T) {
	offer := newClient(t, nil).offer
	s := newStack(t, nil)
	s.publish()
	s.pub.SetFacts(media.Facts{VideoCodec: media.H264, BFrames: true})
	for _, contentType := range []string{"application/sdp", "application/json"} {
		body := offer
		if contentType == "application/json" {
			body = artcBody(offer)
		}
		if res, text := s.request("POST", rtsHost, "/live/stream", contentType, body); res.StatusCode != 415 ||
			!strings.Contains(text, "BFramesPresent") || !strings.Contains(text, "artc://"+rtsHost+"/live/stream_hd") {
			t.Errorf("B-frames: %s %s", res.Status, text)
		}
	}
	// The remedy is asked for where and by the name that the player asked, not by that of an internal rendition.
	p := testPlan()
	p.Play[6].AutoRepair = true
	s.current.Store(plan.NewIndex(p))
	repaired := liveKey
	repaired.Name += "_" + plan.RepairID
	internal, err := s.hub.Publish(repaired, hub.Publisher{})
	if err != nil {
		t.Fatal(err)
	}
	internal.SetTracks([]*media.Track{s.video})
	internal.SetFacts(media.Facts{VideoCodec: media.H264, BFrames: true})
	if res, text := s.request("POST", rtsHost+":8443", "/live/stream", "application/sdp", offer); res.StatusCode != 415 ||
		!strings.Contains(text, `"artc://`+rtsHost+`:8443/live/stream_hd"`) || strings.Contains(text, plan.RepairID) {
		t.Errorf("B-frames of the repaired rendition: %s %s", res.Status, text)
	}
	s.current.Store(plan.NewIndex(testPlan()))
	reordering := strings.ReplaceAll(offer, "packetization-mode=1", "packetization-mode=1;BFrame-enabled=1")
	if res, text := s.request("POST", rtsHost, "/live/stream", "application/sdp", reordering); res.StatusCode != 201 {
		t.Errorf("a player that orders B-frames: %s %s", res.Status, text)
	}

	h := newStack(t, nil)
	h.video = &media.Track{Codec: media.H265}
	h.publish()
	if res, text := h.request("POST", rtsHost, "/live/stream", "application/sdp", strings.ReplaceAll(offer, "H265/90000",
		"XH265/90000")); res.StatusCode != 415 ||
		!strings.Contains(text, "H265Source") {
		t.Errorf("H.265: %s %s", res.Status, text)
	}
}

func TestAACIsSaidToBeSilent(t *testing.T) {
	s := newStack(t, nil)
	s.publish(s.video, &media.Track{Codec: media.AAC, SampleRate: 44100, Channels: 2})
	res, body := s.request("POST", rtsHost, "/live/stream", "application/sdp", newClient(t, nil).offer)
	if notice := res.Header.Get("X-Millrace-Notice"); res.StatusCode != 201 || !strings.Contains(notice, "AAC") ||
		!strings.Contains(notice, "hd") {
		t.Errorf("%s %q %s", res.Status, notice, body)
	}
}

func TestLimits(t *testing.T) {
	s := newStack(t, func(o *Options) { o.Limits = door.Limits{MaxJoinsPerAddress: 3, MaxViewers: 5} })
	s.publish()
	offer := newClient(t, nil).offer
	post := func(host string) int {
		res, _ := s.request("POST", host, "/live/stream", "application/sdp", offer)
		if res.StatusCode >= 400 && res.Header.Get("Retry-After") == "" {
			t.Errorf("%d without Retry-After", res.StatusCode)
		}
		return res.StatusCode
	}
	if a, b := post("small.example.com"), post("small.example.com"); a != 201 || b != http.StatusServiceUnavailable {
		t.Errorf("a domain for one viewer answers %d, then %d", a, b)
	}
	if a, b, c := post(rtsHost), post(rtsHost), post(rtsHost); a != 201 || b != 201 || c != http.StatusTooManyRequests {
		t.Errorf("an address with 3 half-open sessions gets %d, %d, %d", a, b, c)
	}
}

func TestHalfOpenSessionsExpire(t *testing.T) {
	s := newStack(t, func(o *Options) { o.JoinTimeout = 10 * time.Millisecond })
	s.publish()
	s.request("POST", rtsHost, "/live/stream", "application/sdp", newClient(t, nil).offer)
	testkit.Eventually(t, "the end of the session", func() bool { return s.relay.Sessions() == 0 })
}

// Checks for sessions that do not exist, or with a wrong password, get no answer and leave nothing behind.
func TestFloodLeavesNothing(t *testing.T) {
	s := newStack(t, nil)
	s.publish()
	c := newClient(t, nil)
	_, answer := s.request("POST", rtsHost, "/live/stream", "application/sdp", c.offer)
	_, after, _ := strings.Cut(answer, "a=ice-ufrag:")
	ufrag, _, _ := strings.Cut(after, "\r\n")
	conn, err := net.Dial("udp", s.relay.sockets[0].Local().String())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	for i := range 2000 {
		user := "nobody:x"
		if i%2 == 0 {
			user = ufrag + ":x"
		}
		m, err := stun.Build(
			stun.TransactionID,
			stun.BindingRequest,
			stun.NewUsername(user),
			stun.NewShortTermIntegrity("guess"),
			stun.Fingerprint,
		)
		if err != nil {
			t.Fatal(err)
		}
		packet := m.Raw
		switch i % 5 {
		case 3:
			packet = packet[:i%len(packet)]
		case 4:
			packet = []byte{byte(20 + i%44), 254, 253, byte(i)} // DTLS from nowhere
		}
		if _, err := conn.Write(packet); err != nil {
			t.Fatal(err)
		}
	}
	_ = conn.SetReadDeadline(time.Now().Add(500 * time.Millisecond))
	if n, err := conn.Read(make([]byte, 100)); err == nil {
		t.Errorf("the flood was answered with %d bytes", n)
	}
	s.relay.sessions.mu.RLock()
	sessions, addrs := len(s.relay.sessions.byID), len(s.relay.sessions.byAddr)
	s.relay.sessions.mu.RUnlock()
	if sessions != 1 || addrs != 0 {
		t.Errorf("%d sessions, %d addresses", sessions, addrs)
	}
	c.answer(answer) // the player itself still connects
	c.next()
}

// ICE-TCP connections that send nonsense are closed and harm nobody.
func TestNonsenseOverTCP(t *testing.T) {
	s := newStack(t, nil)
	for _, packet := range [][]byte{{0xff, 0xff}, append(binary.BigEndian.AppendUint16(nil, 2000),
		make([]byte, 2000)...)} {
		conn, err := net.Dial("tcp", s.relay.sockets[0].Local().String())
		if err != nil {
			t.Fatal(err)
		}
		if _, err := conn.Write(packet); err != nil {
			t.Fatal(err)
		}
		_ = conn.Close()
	}
	s.publish()
	c := newClient(t, nil)
	s.whep(c, rtsHost)
	c.next()
}
