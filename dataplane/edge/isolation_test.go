package edge

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net/http"
	"os/exec"
	"strings"
	"testing"

	"github.com/millrace/millrace/dataplane/hub"
	"github.com/millrace/millrace/dataplane/media"
	"github.com/millrace/millrace/internal/testkit"
)

// get asks the edge for a path under a host and gives status and the beginning of the body.
func (r *rig) get(host, path string, header ...string) (int, string, http.Header) {
	r.t.Helper()
	ctx, cancel := context.WithTimeout(r.t.Context(), testkit.Patience())
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, r.web.URL+path, nil)
	if err != nil {
		r.t.Fatal(err)
	}
	req.Host = host
	for i := 0; i+1 < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	res, err := http.DefaultTransport.RoundTrip(req)
	if err != nil {
		r.t.Fatalf("%s %s: %v", host, path, err)
	}
	defer res.Body.Close()
	if res.StatusCode == http.StatusSwitchingProtocols {
		return res.StatusCode, "", res.Header
	}
	body, _ := bufio.NewReader(io.LimitReader(res.Body, 4096)).ReadString('\n') // a live stream does not end
	return res.StatusCode, body, res.Header
}

// rtmpStatus plays by ffmpeg and gives what it says; "" means that it plays.
func (r *rig) rtmpStatus(host string) string {
	r.t.Helper()
	ctx, cancel := context.WithTimeout(r.t.Context(), testkit.Patience())
	defer cancel()
	out, err := exec.CommandContext(
		ctx,
		"ffmpeg",
		"-hide_banner",
		"-nostats",
		"-nostdin",
		"-loglevel",
		"warning",
		"-i",
		fmt.Sprintf("rtmp://%s/live/stream?vhost=%s", r.rtmp, host),
		"-t",
		"0.2",
		"-c",
		"copy",
		"-f",
		"null",
		"-",
	).CombinedOutput()
	if err == nil {
		return ""
	}
	return string(out)
}

// Every protocol on every kind of host gives what the domains say: isolation does not depend on the path, the Host
// header or the tcUrl.
func TestIsolation(t *testing.T) {
	testkit.NeedFFmpeg(t)
	r := newRig(t, nil)
	s := r.source()
	s.gop(25)
	other, err := r.hub.Publish(hub.Key{Space: otherHost, App: "live", Name: "elsewhere"}, hub.Publisher{})
	if err != nil {
		t.Fatal(err)
	}
	other.SetTracks([]*media.Track{s.video})

	const ws = "ws"
	upgrade := []string{
		"Connection",
		"Upgrade",
		"Upgrade",
		"websocket",
		"Sec-WebSocket-Version",
		"13",
		"Sec-WebSocket-Key",
		"dGhlIHNhbXBsZSBub25jZQ==",
	}
	paths := map[string]string{
		"flv":    "/live/stream.flv",
		ws:       "/live/stream.flv",
		"ll-hls": "/live/stream.m3u8",
		"hls":    "/live/stream.m3u8?format=ts",
	}
	for host, want := range map[string]struct {
		flv, hls int
		reason   string
		rtmp     string // part of what the player is told; "" plays
	}{
		playHost:              {200, 200, "", ""},
		"PLAY.example.com.":   {200, 200, "", ""},
		playHost + ":8080":    {200, 200, "", ""},
		"flvonly.example.com": {200, 403, "ProtocolNotServed", "does not serve RTMP"},
		otherHost:             {404, 404, "StreamNotFound", "not being published"},
		rtsHost:               {403, 403, "ProtocolNotServed", "serves RTS alone"},
		"offline.example.com": {403, 403, "DomainOffline", "offline"},
		"private.example.com": {403, 403, "AddressNotAllowed", "does not serve this address"},
		"page.example.com":    {403, 403, "RefererNotAllowed", "does not serve this page"},
		signedHost:            {403, 403, "SignatureMissing", "not signed"},
		pushHost:              {404, 404, "UnknownDomain", "not a play domain"},
		"unknown.example.com": {404, 404, "UnknownDomain", "not a play domain"},
		"127.0.0.1":           {404, 404, "UnknownDomain", "not a play domain"},
		"[::1]:80":            {404, 404, "UnknownDomain", "not a play domain"},
	} {
		for protocol, path := range paths {
			var header []string
			status := want.hls
			if protocol == "flv" || protocol == ws {
				status = want.flv
			}
			if protocol == ws {
				header = upgrade
				if status == http.StatusOK {
					status = http.StatusSwitchingProtocols
				}
			}
			got, body, _ := r.get(host, path, header...)
			if got != status || status >= 400 && !strings.Contains(body, `"`+want.reason+`"`) {
				t.Errorf("%s by %s: %d %q, want %d %s", host, protocol, got, body, status, want.reason)
			}
		}
		if strings.HasSuffix(host, ":8080") || host == "PLAY.example.com." || host[0] == '[' {
			continue
		}
		if want.rtmp != "" {
			told := r.rtmpStatus(host)
			if !strings.Contains(told, want.rtmp) {
				t.Errorf("%s by RTMP: %q, want %q", host, told, want.rtmp)
			}
		}
	}
	// A stream of another main is not found, whatever path leads to it.
	for _, path := range []string{"/live/elsewhere.flv", "/live/elsewhere.m3u8", "/" + otherHost + "/live/elsewhere.flv",
		"/live/../live/elsewhere.flv", "/live%2Felsewhere.flv"} {
		if status, body, _ := r.get(playHost, path); status != http.StatusNotFound {
			t.Errorf("%s: %d %s", path, status, body)
		}
	}
	// Neither are its segments.
	if m := r.edge.hls.Open(r.hub.Lookup(liveKey), "ll"); m != nil {
		if status, _, _ := r.get(otherHost, "/live/stream/-/"+m.ID+"/index.m3u8"); status != http.StatusNotFound {
			t.Errorf("the playlist of another main's stream: %d", status)
		}
	}
	if status, body, _ := r.get("page.example.com", "/live/stream.flv", "Referer",
		"https://www.good.example/x"); status != http.StatusOK {
		t.Errorf("from an allowed page: %d %s", status, body)
	}
}
