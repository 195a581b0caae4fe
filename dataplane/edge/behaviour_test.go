package edge

import (
	"bufio"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/millrace/millrace/dataplane/media"
	"github.com/millrace/millrace/dataplane/urlauth"
	"github.com/millrace/millrace/internal/contract/plan"
	"github.com/millrace/millrace/internal/testkit"
	"github.com/millrace/millrace/internal/testsrc"
)

// flvReader reads tags of an answer.
type flvReader struct {
	t   *testing.T
	res *http.Response
	r   *bufio.Reader
}

// flv opens a stream; the client is that of the server.
func (r *rig) flv(client *http.Client, base, host, path string) *flvReader {
	r.t.Helper()
	req, err := http.NewRequestWithContext(r.t.Context(), http.MethodGet, base+path, nil)
	if err != nil {
		r.t.Fatal(err)
	}
	req.Host = host
	res, err := client.Do(req)
	if err != nil {
		r.t.Fatal(err)
	}
	r.t.Cleanup(func() { _ = res.Body.Close() })
	if res.StatusCode != http.StatusOK || res.Header.Get("Content-Type") != "video/x-flv" ||
		res.Header.Get("Content-Encoding") != "" {
		r.t.Fatalf("%s %v", res.Status, res.Header)
	}
	f := &flvReader{t: r.t, res: res, r: bufio.NewReader(res.Body)}
	head := make([]byte, fileHeader)
	if _, err := io.ReadFull(f.r, head); err != nil || string(head[:3]) != "FLV" {
		r.t.Fatalf("no FLV header: %q, %v", head, err)
	}
	return f
}

// next returns type, time stamp and body of a tag; io.EOF at an orderly end.
func (f *flvReader) next() (byte, time.Duration, []byte, error) {
	var head [11]byte
	if _, err := io.ReadFull(f.r, head[:]); err != nil {
		return 0, 0, nil, err
	}
	size := int(head[1])<<16 | int(head[2])<<8 | int(head[3])
	ms := uint32(head[7])<<24 | uint32(head[4])<<16 | uint32(head[5])<<8 | uint32(head[6])
	body := make([]byte, size+4)
	if _, err := io.ReadFull(f.r, body); err != nil {
		return 0, 0, nil, err
	}
	if n := binary.BigEndian.Uint32(body[size:]); int(n) != size+11 {
		f.t.Fatalf("PreviousTagSize %d of a body of %d", n, size)
	}
	return head[0], time.Duration(ms) * time.Millisecond, body[:size], nil
}

// frame returns the next video frame.
func (f *flvReader) frame() (key bool, at time.Duration, err error) {
	for {
		typ, at, body, err := f.next()
		if err != nil {
			return false, 0, err
		}
		if typ == 9 && body[1] == 1 {
			return body[0]>>4 == 1, at, nil
		}
	}
}

// A reader begins with the newest key frame at once, goes on over a change of publisher, and its answer ends in an
// orderly way with the stream: over HTTP/1.1, and over HTTP/2.
func TestFLVFromTheNewestKeyFrameToTheEnd(t *testing.T) {
	r := newRig(t, nil)
	s := r.source()
	s.gop(25)
	s.gop(10)
	for name, one := range map[string]*flvReader{
		"HTTP/1.1": r.flv(r.web.Client(), r.web.URL, playHost, "/live/stream.flv"),
		"HTTP/2":   r.flv(r.secure.Client(), r.secure.URL, playHost, "/live/stream.flv"),
	} {
		key, at, err := one.frame()
		if err != nil || !key || at != time.Second {
			t.Errorf("%s begins with %v at %v, %v", name, key, at, err)
		}
		t.Cleanup(func() {})
		for i := 1; i < 10; i++ {
			if _, next, err := one.frame(); err != nil || next != at+time.Duration(i)*40*time.Millisecond {
				t.Errorf("%s: frame %d at %v, %v", name, i, next, err)
			}
		}
		if name == "HTTP/2" && one.res.ProtoMajor != 2 {
			t.Errorf("the protocol is %s", one.res.Proto)
		}
	}
	one, two := r.flv(
		r.web.Client(),
		r.web.URL,
		playHost,
		"/live/stream.flv",
	), r.flv(
		r.secure.Client(),
		r.secure.URL,
		playHost,
		"/live/stream.flv",
	)
	s.pub.Abandon()
	s.publish(r.hub)
	s.gop(5)
	s.pub.End()
	for _, reader := range []*flvReader{one, two} {
		frames, last := 0, time.Duration(0)
		for {
			_, at, err := reader.frame()
			if errors.Is(err, io.EOF) {
				break
			}
			if err != nil || at < last {
				t.Fatalf("%s: frame %d at %v after %v, %v", reader.res.Proto, frames, at, last, err)
			}
			frames, last = frames+1, at
		}
		if frames != 15 {
			t.Errorf("%s: %d frames, 10 of the first publisher and 5 of the second were to come", reader.res.Proto, frames)
		}
	}
	testkit.Eventually(t, "the end of all viewers", func() bool { return r.edge.Viewers() == 0 })
}

// rtsAuthC is the URL signing of an RTS domain by another type than that of its main.
func rtsAuthC() plan.Auth {
	return plan.Auth{Type: plan.AuthC, Primary: "exampleOnlyRTSPrimary22", Validity: time.Hour}
}

// sign signs a path under a domain's key.
func sign(t *testing.T, key, path string) string {
	t.Helper()
	u, err := urlauth.Sign(
		plan.Auth{Type: plan.AuthA, Primary: key},
		&url.URL{Scheme: "http", Host: signedHost, Path: path},
		time.Now(),
	)
	if err != nil {
		t.Fatal(err)
	}
	return u.RawQuery
}

// Signatures: of the path with its suffix, or, by rts_degrade=on, of the path without; by the domain's own key or that
// of an RTS domain of the same main. A playlist authorises what it names, and nothing else does.
func TestSignatures(t *testing.T) {
	r := newRig(t, nil)
	s := r.source()
	for range 4 {
		s.gop(25)
	}
	for _, suffix := range []string{".flv", ".m3u8"} {
		path := "/live/stream" + suffix
		for name, c := range map[string]struct {
			query string
			want  int
		}{
			"own":                  {sign(t, playKey, path), 200},
			"bare, not degraded":   {sign(t, playKey, "/live/stream"), 403},
			"bare, degraded":       {sign(t, playKey, "/live/stream") + "&rts_degrade=on", 200},
			"RTS domain, degraded": {sign(t, rtsKey, "/live/stream") + "&rts_degrade=on", 200},
			"RTS domain, not so":   {sign(t, rtsKey, path), 403},
			"other stream":         {sign(t, playKey, "/live/other"+suffix) + "&rts_degrade=on", 403},
			"other stream, RTS":    {sign(t, rtsKey, "/live/other") + "&rts_degrade=on", 403},
			"another key":          {sign(t, "exampleOnlyNobody111111", path), 403},
			"none":                 {"", 403},
			"none, but it says so": {"rts_degrade=on", 403},
		} {
			if status, body, _ := r.get(signedHost, path+"?"+c.query); status != c.want {
				t.Errorf("%s%s: %d %s, want %d", name, suffix, status, body, c.want)
			}
		}
	}
	byPath, err := urlauth.Sign(rtsAuthC(), &url.URL{Scheme: "http", Host: signedHost, Path: "/live/stream"}, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	for query, want := range map[string]int{"rts_degrade=on": 200, "": 403} {
		if status, body, _ := r.get(signedHost, byPath.EscapedPath()+".flv?"+query); status != want {
			t.Errorf("signed by type C for an RTS domain, %q: %d %s, want %d", query, status, body, want)
		}
	}
	m := r.playlistURL(signedHost, "/live/stream.m3u8?"+sign(t, playKey, "/live/stream.m3u8"))
	text := r.text(signedHost, m)
	bare, _, _ := strings.Cut(m, "?")
	if status, _, _ := r.get(signedHost, bare); status != http.StatusForbidden {
		t.Errorf("the media playlist without its token: %d", status)
	}
	if status, _, _ := r.get(playHost, m); status != http.StatusOK { // an open domain asks for nothing
		t.Errorf("the media playlist on the open domain: %d", status)
	}
	found := 0
	for line := range strings.Lines(text) {
		if line = strings.TrimSpace(line); strings.HasPrefix(line, "seg") {
			found++
			segment := bare[:strings.LastIndex(bare, "/")+1] + line
			if status, _, header := r.get(signedHost, segment); status != http.StatusOK ||
				!strings.Contains(header.Get("Cache-Control"), "immutable") ||
				header.Get("Content-Type") != "video/mp4" {
				t.Errorf("%s: %d %v", segment, status, header)
			}
			segment, _, _ = strings.Cut(segment, "?")
			if status, _, _ := r.get(signedHost, segment); status != http.StatusForbidden {
				t.Errorf("%s without its token: %d", segment, status)
			}
		}
	}
	if found == 0 {
		t.Errorf("no segments in %s", text)
	}
}

// text gets a playlist.
func (r *rig) text(host, path string) string {
	r.t.Helper()
	ctx, cancel := context.WithTimeout(r.t.Context(), testkit.Patience())
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, r.web.URL+path, nil)
	if err != nil {
		r.t.Fatal(err)
	}
	req.Host = host
	res, err := r.web.Client().Do(req)
	if err != nil {
		r.t.Fatal(err)
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err != nil || res.StatusCode != http.StatusOK || res.Header.Get("Content-Type") != mimePlaylist ||
		res.Header.Get("Access-Control-Allow-Origin") != "*" {
		r.t.Fatalf("%s: %s %s %v", path, res.Status, body, res.Header)
	}
	return string(body)
}

// playlistURL follows a multivariant playlist to its media playlist.
func (r *rig) playlistURL(host, path string) string {
	r.t.Helper()
	text := strings.TrimSpace(r.text(host, path))
	return "/live/" + text[strings.LastIndexByte(text, '\n')+1:]
}

// A new Plan ends those who lost their right, and only those; limits refuse newcomers.
func TestRightsAndLimits(t *testing.T) {
	r := newRig(t, nil)
	s := r.source()
	s.gop(5)
	keeps := r.flv(r.web.Client(), r.web.URL, playHost, "/live/stream.flv")
	loses := r.flv(r.web.Client(), r.web.URL, "flvonly.example.com", "/live/stream.flv")
	small := r.flv(r.web.Client(), r.web.URL, "small.example.com", "/live/stream.flv")
	if status, body, header := r.get("small.example.com", "/live/stream.flv"); status != http.StatusServiceUnavailable ||
		!strings.Contains(body, "TooManyViewers") ||
		header.Get("Retry-After") == "" {
		t.Errorf("a second viewer of a domain for one: %d %s", status, body)
	}
	if status, _, _ := r.get("small.example.com", "/live/stream.m3u8"); status != http.StatusServiceUnavailable {
		t.Errorf("an HLS viewer beside it: %d", status)
	}
	p := testPlan()
	p.Play[0].Protocols = []plan.Protocol{plan.HLS}
	p.Play[8].MaxViewers = 0
	p.Play[4].Auth = plan.Auth{Type: plan.AuthA, Primary: playKey}
	r.current.Store(plan.NewIndex(p))
	for {
		if _, _, err := loses.frame(); err != nil {
			if !errors.Is(err, io.EOF) {
				t.Errorf("who lost the right gets %v", err)
			}
			break
		}
	}
	s.gop(3)
	for name, one := range map[string]*flvReader{"a signature is asked for now": keeps, "a limit is gone": small} {
		for i := range 8 {
			if _, _, err := one.frame(); err != nil {
				t.Fatalf("%s: frame %d: %v", name, i, err)
			}
		}
	}
}

// A reader that takes nothing is moved to the newest key frame when it reads again, or ended; others do not notice.
func TestSlowReaderSkips(t *testing.T) {
	r := newRig(t, func(o *Options) { o.MaxBacklog = time.Second })
	s := r.source()
	s.size = 40_000
	s.gop(5)
	c, err := net.Dial("tcp", r.web.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if err := c.(*net.TCPConn).SetReadBuffer(16 << 10); err != nil { //nolint:forcetypeassert // it was dialled as TCP
		t.Fatal(err)
	}
	fmt.Fprintf(c, "GET /live/stream.flv HTTP/1.1\r\nHost: %s\r\n\r\n", playHost)
	good := r.flv(r.web.Client(), r.web.URL, playHost, "/live/stream.flv")
	go func() {
		for {
			if _, _, err := good.frame(); err != nil {
				return
			}
		}
	}()
	testkit.Eventually(t, "both viewers", func() bool { return len(r.edge.List()) == 2 })
	for range 20 {
		s.gop(25)
		time.Sleep(10 * time.Millisecond) // what is tested is a reader that is slow, not one that is overrun
	}
	res, err := http.ReadResponse(bufio.NewReader(c), nil)
	if err != nil {
		t.Fatal(err)
	}
	slow := &flvReader{t: t, res: res, r: bufio.NewReader(res.Body)}
	if _, err := slow.r.Discard(fileHeader); err != nil {
		t.Fatal(err)
	}
	last, jumps := time.Duration(-1), 0
	for last < s.at-40*time.Millisecond {
		key, at, err := slow.frame()
		if err != nil {
			t.Fatal(err)
		}
		if last >= 0 && at-last > 40*time.Millisecond {
			jumps++
			if !key {
				t.Errorf("the reader goes on at %v with a frame that needs others", at)
			}
		}
		last = at
	}
	if jumps == 0 {
		t.Error("the reader was not moved")
	}
	for _, v := range r.edge.List() {
		if v.Skipped > 0 {
			jumps = 0
		}
	}
	if jumps != 0 {
		t.Errorf("skips are not counted: %+v", r.edge.List())
	}
}

// A WebSocket player gets a tag in each message and a close frame at the end.
func TestWebSocketFLV(t *testing.T) {
	r := newRig(t, nil)
	s := r.source()
	s.gop(5)
	c, err := net.Dial("tcp", r.web.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	fmt.Fprintf(
		c,
		"GET /live/stream.flv HTTP/1.1\r\nHost: %s\r\nConnection: keep-alive, Upgrade\r\nUpgrade: "+
			"websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n",
		playHost,
	)
	br := bufio.NewReader(c)
	res, err := http.ReadResponse(br, nil)
	if err != nil {
		t.Fatal(err)
	}
	// the example of RFC 6455, 1.3
	if res.StatusCode != http.StatusSwitchingProtocols ||
		res.Header.Get("Sec-WebSocket-Accept") != "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=" {
		t.Fatalf("%s %v", res.Status, res.Header)
	}
	message := func() (byte, []byte) {
		var head [2]byte
		if _, err := io.ReadFull(br, head[:]); err != nil {
			t.Fatal(err)
		}
		n := uint64(head[1])
		if n == 126 {
			var b [2]byte
			if _, err := io.ReadFull(br, b[:]); err != nil {
				t.Fatal(err)
			}
			n = uint64(binary.BigEndian.Uint16(b[:]))
		}
		body := make([]byte, n)
		if _, err := io.ReadFull(br, body); err != nil {
			t.Fatal(err)
		}
		return head[0], body
	}
	if op, body := message(); op != 0x82 || string(body[:3]) != "FLV" {
		t.Fatalf("the first message is %x %q", op, body)
	}
	for i := range 5 {
		if op, body := message(); op != 0x82 || body[0] != 9 ||
			binary.BigEndian.Uint32(body[len(body)-4:]) != uint32(len(body)-4) {
			t.Fatalf("message %d is %x with %d bytes", i, op, len(body))
		}
	}
	s.pub.End()
	if op, body := message(); op != 0x88 || binary.BigEndian.Uint16(body) != 1000 {
		t.Errorf("the end is %x %x", op, body)
	}
}

// RTMP: the publisher's end ends ffmpeg, without an error.
func TestRTMPEndsWithTheStream(t *testing.T) {
	r := newRig(t, nil)
	p, _ := r.publish(testsrc.Options{Audio: true})
	ctx, cancel := context.WithTimeout(t.Context(), testkit.Patience())
	defer cancel()
	cmd := exec.CommandContext(ctx, "ffmpeg", "-hide_banner", "-nostats", "-nostdin", "-loglevel", "error",
		"-i", fmt.Sprintf("rtmp://%s/live/stream?vhost=%s", r.rtmp, playHost), "-c", "copy", "-f", "null", "-")
	var said strings.Builder
	cmd.Stderr = &said
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	testkit.Eventually(t, "the viewer", func() bool {
		list := r.edge.List()
		return len(list) == 1 && list[0].Bytes > 50_000 && list[0].Protocol == "rtmp"
	})
	p.Stop(testkit.Patience())
	if err := cmd.Wait(); err != nil || said.Len() > 0 {
		t.Errorf("ffmpeg ends with %v: %s", err, said.String())
	}
	testkit.Eventually(t, "the end of the viewer", func() bool { return r.edge.Viewers() == 0 })
}

// ServeRTMP is a port of the edge's own: it plays, and takes nothing in.
func TestOwnRTMPPort(t *testing.T) {
	testkit.NeedFFmpeg(t)
	r := newRig(t, nil)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- r.edge.ServeRTMP(ctx, l) }()
	r.publish(testsrc.Options{})
	r.rtmp = l.Addr().String()
	if said := r.rtmpStatus(playHost); said != "" {
		t.Errorf("playing: %s", said)
	}
	url := fmt.Sprintf("rtmp://%s/live/other?vhost=%s", r.rtmp, pushHost)
	out, err := exec.CommandContext(t.Context(), "ffmpeg", "-hide_banner", "-nostats", "-nostdin", "-loglevel", "error",
		"-f", "lavfi", "-i", "testsrc", "-t", "1", "-f", "flv", url).
		CombinedOutput()
	if err == nil || r.hub.Lookup(liveKey).Track(media.Video) == nil {
		t.Errorf("publishing at the edge: %v %s", err, out)
	}
	cancel()
	if err := <-done; err != nil {
		t.Error(err)
	}
}
