package relay

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/pion/webrtc/v4"

	"github.com/millrace/millrace/dataplane/hub"
	"github.com/millrace/millrace/dataplane/media"
	"github.com/millrace/millrace/internal/contract/plan"
	"github.com/millrace/millrace/internal/testkit"
)

func mustJSON(t *testing.T, text string, v any) {
	t.Helper()
	if err := json.Unmarshal([]byte(text), v); err != nil {
		t.Fatalf("%v in %s", err, text)
	}
}

func TestARTCPlays(t *testing.T) {
	for _, contentType := range []string{"application/x-www-form-urlencoded; charset=UTF-8", "application/json"} {
		s := newStack(t, nil)
		s.publish()
		c := newClient(t, nil)
		res, body := s.request("POST", rtsHost, "/live/stream", contentType, artcBody(c.offer))
		var answer struct {
			Code    int
			TraceID string `json:"trace_id"`
			JSEP    struct{ Type, SDP string }
		}
		mustJSON(t, body, &answer)
		if res.StatusCode != 200 || answer.Code != 200 || answer.TraceID == "" || answer.JSEP.Type != "answer" ||
			res.Header.Get("Access-Control-Allow-Origin") != "*" {
			t.Fatalf("%s %s", res.Status, body)
		}
		for _, want := range []string{"a=ice-lite", "a=setup:passive", "a=msid:rts video", "a=msid:rts audio", "typ host"} {
			if !strings.Contains(answer.JSEP.SDP, want) {
				t.Errorf("the answer lacks %s", want)
			}
		}
		c.answer(answer.JSEP.SDP)
		if !c.next().key {
			t.Error("the first packet is not of a key frame")
		}
	}
}

func TestARTCLeavesOutTracks(t *testing.T) {
	s := newStack(t, nil)
	s.publish(s.video, &media.Track{Codec: media.Opus, SampleRate: 48000, Channels: 2})
	c := newClient(t, nil)
	for suffix, want := range map[string]string{"@subvideo=no": "m=video 0 ", "@subaudio=no": "m=video 9 "} {
		_, body := s.request("POST", rtsHost, "/live/stream"+suffix, "application/json", artcBody(c.offer))
		if !strings.Contains(body, want) {
			t.Errorf("%s: no %q in %s", suffix, want, body)
		}
	}
}

// Pictures may wait for their sound, where there is any; else they are shown at once.
func TestPicturesMayWaitForSound(t *testing.T) {
	opus, aac := &media.Track{
		Codec:      media.Opus,
		SampleRate: 48000,
		Channels:   2,
	}, &media.Track{
		Codec:      media.AAC,
		SampleRate: 48000,
		Channels:   2,
		Config:     []byte{0x11, 0x90},
	}
	for name, c := range map[string]struct {
		sound *media.Track
		url   string
		want  []byte
	}{
		"sound":             {opus, "/live/stream", []byte{0, 0, lipSync}},
		"sound left out":    {opus, "/live/stream@subaudio=no", []byte{0, 0, 0}},
		"sound not for web": {aac, "/live/stream", []byte{0, 0, 0}},
		"no sound":          {nil, "/live/stream", []byte{0, 0, 0}},
	} {
		t.Run(name, func(t *testing.T) {
			s := newStack(t, nil)
			tracks := []*media.Track{s.video}
			if c.sound != nil {
				tracks = append(tracks, c.sound)
			}
			s.publish(tracks...)
			player := newClient(t, nil)
			_, body := s.request("POST", rtsHost, c.url, "application/json", artcBody(player.offer))
			var answer struct{ JSEP struct{ SDP string } }
			mustJSON(t, body, &answer)
			player.answer(answer.JSEP.SDP)
			if p := player.next(); !bytes.Equal(p.delay, c.want) {
				t.Errorf("playout-delay is %v, want %v", p.delay, c.want)
			}
		})
	}
}

func TestWHEPPlaysAndEnds(t *testing.T) {
	s := newStack(t, nil)
	s.publish()
	c := newClient(t, nil)
	res, body := s.request("POST", rtsHost, "/live/stream", "application/sdp", c.offer)
	session, etag := res.Header.Get("Location"), res.Header.Get("ETag")
	if res.StatusCode != 201 || session == "" || etag == "" || res.Header.Get("Content-Type") != "application/sdp" {
		t.Fatalf("%s %v %s", res.Status, res.Header, body)
	}
	c.answer(body)
	if !c.next().key {
		t.Error("the first packet is not of a key frame")
	}
	const fragment = "application/trickle-ice-sdpfrag"
	for _, p := range []struct {
		name, contentType, match, body string
		want                           int
	}{
		{"candidate", fragment, etag, "a=candidate:1 1 udp 1 192.0.2.1 1 typ host\r\n", 204},
		{"no ETag", fragment, "", "", 204},
		{"wrong ETag", fragment, `"x"`, "", 412},
		{"restart", fragment, "*", "", 422},
		{"restart by ufrag", fragment, etag, "a=ice-ufrag:other\r\n", 422},
		{"other content", "text/plain", etag, "", 415},
	} {
		headers := []string{}
		if p.match != "" {
			headers = []string{"If-Match", p.match}
		}
		if res, body := s.request("PATCH", rtsHost, session, p.contentType, p.body, headers...); res.StatusCode != p.want {
			t.Errorf("PATCH %s: %s %s", p.name, res.Status, body)
		}
	}
	if res, _ := s.request("DELETE", "other.example.com", session, "", ""); res.StatusCode != 404 {
		t.Errorf("another domain ended the session: %s", res.Status)
	}
	if res, _ := s.request("DELETE", rtsHost, session, "", ""); res.StatusCode != 200 {
		t.Errorf("DELETE: %s", res.Status)
	}
	c.awaitClosed()
	if res, _ := s.request("DELETE", rtsHost, session, "", ""); res.StatusCode != 404 {
		t.Errorf("a second DELETE: %s", res.Status)
	}
}

func TestWHEPEndpointAnswersQuestions(t *testing.T) {
	s := newStack(t, nil)
	if res, _ := s.request("OPTIONS", rtsHost, "/live/stream", "", ""); res.StatusCode != 200 ||
		res.Header.Get("Accept-Post") != "application/sdp" ||
		!strings.Contains(res.Header.Get("Access-Control-Allow-Headers"), "If-Match") {
		t.Errorf("OPTIONS: %s %v", res.Status, res.Header)
	}
	if res, _ := s.request("HEAD", rtsHost, "/live/stream", "", ""); res.StatusCode != 200 ||
		res.Header.Get("Content-Type") != "application/sdp" {
		t.Errorf("HEAD: %s %v", res.Status, res.Header)
	}
	if res, _ := s.request("GET", rtsHost, "/live/stream", "", ""); res.StatusCode != 204 {
		t.Errorf("GET: %s", res.Status)
	}
	if res, _ := s.request("PUT", rtsHost, "/live/stream", "", ""); res.StatusCode != 405 ||
		res.Header.Get("Allow") == "" {
		t.Errorf("PUT: %s", res.Status)
	}
}

func TestSRSPlays(t *testing.T) {
	s := newStack(t, nil)
	s.publish()
	c := newClient(t, nil)
	ask := func(url string) (int, string) {
		b, _ := json.Marshal(map[string]string{"api": "http://x/rtc/v1/play/", "streamurl": url, "sdp": c.offer})
		res, body := s.request("POST", rtsHost, "/rtc/v1/play/", "application/json", string(b))
		return res.StatusCode, body
	}
	if code, body := ask("webrtc://other.example.com/live/stream"); code != 403 {
		t.Errorf("another domain's stream: %d %s", code, body)
	}
	if code, body := ask("webrtc://" + rtsHost + "/live/none"); code != 404 || !strings.Contains(body, `"code":404`) {
		t.Errorf("an unknown stream: %d %s", code, body)
	}
	_, body := ask("webrtc://" + rtsHost + "/live/stream")
	var answer struct {
		Code           int
		SDP, SessionID string
	}
	mustJSON(t, body, &answer)
	if answer.Code != 0 || answer.SessionID == "" {
		t.Fatal(body)
	}
	c.answer(answer.SDP)
	c.next()
}

func TestLEBPlaysAndStops(t *testing.T) {
	s := newStack(t, nil)
	s.publish()
	c := newClient(t, nil)
	ask := func(url string) string {
		b, _ := json.Marshal(
			map[string]any{"streamurl": url, "sessionid": "1", "localsdp": map[string]string{"type": "offer", "sdp": c.offer}},
		)
		_, body := s.request("POST", rtsHost, "/webrtc/v1/pullstream", "application/json", string(b))
		return body
	}
	if body := ask("webrtc://" + rtsHost + "/live/none"); !strings.Contains(body, `"errcode":100010`) {
		t.Errorf("an unknown stream: %s", body)
	}
	var answer struct {
		ErrCode   int                        `json:"errcode"`
		RemoteSDP struct{ Type, SDP string } `json:"remotesdp"`
		Signature string                     `json:"svrsig"`
	}
	mustJSON(t, ask("webrtc://"+rtsHost+"/live/stream"), &answer)
	if answer.ErrCode != 0 || answer.Signature == "" {
		t.Fatal(answer)
	}
	c.answer(answer.RemoteSDP.SDP)
	c.next()
	if res, body := s.request("POST", rtsHost, "/webrtc/v1/stopstream", "application/json",
		fmt.Sprintf(`{"streamurl":"x","svrsig":%q}`, answer.Signature)); res.StatusCode != 200 {
		t.Errorf("stop: %s %s", res.Status, body)
	}
	c.awaitClosed()
}

func TestICETCPPlays(t *testing.T) {
	s := newStack(t, nil)
	s.publish()
	c := newClient(t, func(se *webrtc.SettingEngine) { se.SetNetworkTypes([]webrtc.NetworkType{webrtc.NetworkTypeTCP4}) })
	s.whep(c, rtsHost)
	if !c.next().key {
		t.Error("the first packet is not of a key frame")
	}
	s.gop(10)
	for range 30 {
		c.next()
	}
	s.pub.End()
	c.awaitClosed()
}

func TestPlayerLeaves(t *testing.T) {
	s := newStack(t, nil)
	s.publish()
	c := newClient(t, nil)
	s.whep(c, rtsHost)
	c.next()
	if err := c.pc.Close(); err != nil {
		t.Fatal(err)
	}
	testkit.Eventually(t, "the end of the session", func() bool { return s.relay.Sessions() == 0 })
}

func TestStreamEndEndsPlayers(t *testing.T) {
	s := newStack(t, nil)
	s.publish()
	c := newClient(t, nil)
	s.whep(c, rtsHost)
	c.next()
	s.pub.End()
	c.awaitClosed()
	testkit.Eventually(t, "the end of the session", func() bool { return s.relay.Sessions() == 0 })
}

// An encoder whose connection broke comes back: players go on without a new offer.
func TestPlayersGoOnWhenTheEncoderComesBack(t *testing.T) {
	s := newStack(t, nil)
	s.publish()
	c := newClient(t, nil)
	s.whep(c, rtsHost)
	for range 30 {
		c.next()
	}
	last := c.drain()
	s.pub.Abandon()
	s.publish()
	p := c.next()
	for last != nil && int16(p.seq-last.seq) <= 0 {
		p = c.next()
	}
	s.keepWriting()
	// Packets may come out of order: what the player dropped while it set itself up is repeated.
	const most = 50
	var after [most + 1]*packet
	after[0] = p
	for missing := most; missing > 0; {
		next := c.next()
		if i := next.seq - p.seq; i <= most && after[i] == nil {
			after[i] = next
			missing--
		}
	}
	for i, next := range after[1:] {
		if int32(next.ts-after[i].ts) < 0 {
			t.Fatalf("packet %d at %d follows %d at %d", next.seq, next.ts, after[i].seq, after[i].ts)
		}
	}
	if s.relay.Sessions() != 1 {
		t.Errorf("%d sessions", s.relay.Sessions())
	}
}

// A change of the Plan ends those who lost their right, and nobody else.
func TestPlanChangeEndsOnlyThoseWithoutRight(t *testing.T) {
	s := newStack(t, nil)
	s.publish()
	s.keepWriting()
	stays, goes := newClient(t, nil), newClient(t, nil)
	s.whep(stays, rtsHost)
	s.whep(goes, "small.example.com")
	stays.next()
	goes.next()
	p := testPlan()
	for i := range p.Play {
		p.Play[i].Auth = plan.Auth{Type: plan.AuthC, Primary: "anotherkey123456"}
		p.Play[i].MaxViewers = 1
		if p.Play[i].Hostname == "small.example.com" {
			p.Play[i].Offline = true
		}
	}
	s.current.Store(plan.NewIndex(p))
	goes.awaitClosed()
	for len(stays.packets) > 0 {
		stays.next()
	}
	stays.next()
	if s.relay.Sessions() != 1 {
		t.Errorf("%d sessions", s.relay.Sessions())
	}
}

// A source that gets B-frames ends the players that would show them out of order.
func TestSourceThatGetsBFramesEndsPlayers(t *testing.T) {
	s := newStack(t, nil)
	s.publish()
	c := newClient(t, nil)
	s.whep(c, rtsHost)
	c.next()
	s.pub.SetFacts(media.Facts{VideoCodec: media.H264, BFrames: true})
	c.awaitClosed()
}

func TestStreamOfAnotherSpaceIsNotServed(t *testing.T) {
	s := newStack(t, nil)
	s.publish()
	c := newClient(t, nil)
	if res, body := s.request("POST", "other.example.com", "/live/stream", "application/sdp",
		c.offer); res.StatusCode != http.StatusConflict {
		t.Errorf("%s %s", res.Status, body)
	}
	if s.hub.Lookup(hub.Key{Space: "other.example.com", App: "live", Name: "stream"}) != nil {
		t.Error("the stream is in the other space")
	}
}
