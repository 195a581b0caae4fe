package join

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/millrace/millrace/dataplane/media"
)

func TestParseFindsDialectSchemeAndStream(t *testing.T) {
	tests := []struct {
		raw     string
		options Options
		dialect Dialect
		url     string
		without media.Kind
	}{
		{
			raw:     "artc://rts.example.com/live/s?auth_key=1-0-0-x",
			dialect: ARTC,
			url:     "https://rts.example.com/live/s?auth_key=1-0-0-x",
		},
		{raw: "artc://rts.example.com:8080/live/s", dialect: ARTC, url: "http://rts.example.com:8080/live/s"},
		{raw: "artc://rts.example.com:8443/live/s", dialect: ARTC, url: "https://rts.example.com:8443/live/s"},
		{raw: "artc://rts.example.com:31443/live/s", dialect: ARTC, url: "https://rts.example.com:31443/live/s"},
		{raw: "artc://127.0.0.1:40443/live/s", dialect: ARTC, url: "http://127.0.0.1:40443/live/s"},
		{
			raw:     "artc://rts.example.com:9000/live/s",
			options: Options{TLS: true},
			dialect: ARTC,
			url:     "https://rts.example.com:9000/live/s",
		},
		{
			raw:     "artc://rts.example.com/live/s",
			options: Options{Plain: true},
			dialect: ARTC,
			url:     "http://rts.example.com/live/s",
		},
		{
			raw:     "artc://rts.example.com/live/s",
			options: Options{Connect: "127.0.0.1:8080"},
			dialect: ARTC,
			url:     "http://rts.example.com/live/s",
		},
		{
			raw:     "artc://rts.example.com/live/s@subaudio=no",
			dialect: ARTC,
			url:     "https://rts.example.com/live/s",
			without: media.Audio,
		},
		{
			raw:     "artc://rts.example.com/live/s?a=b@subvideo=no",
			dialect: ARTC,
			url:     "https://rts.example.com/live/s?a=b",
			without: media.Video,
		},
		{raw: "https://rts.example.com/live/s_720p", dialect: WHEP, url: "https://rts.example.com/live/s_720p"},
		{
			raw:     "http://rts.example.com/live/s",
			options: Options{Dialect: ARTC},
			dialect: ARTC,
			url:     "http://rts.example.com/live/s",
		},
	}
	for _, test := range tests {
		got, err := Parse(test.raw, test.options)
		if err != nil {
			t.Errorf("%s: %v", test.raw, err)
			continue
		}
		if got.Dialect != test.dialect || got.URL.String() != test.url || got.Without != test.without {
			t.Errorf(
				"%s: got %s %s without %v, want %s %s without %v",
				test.raw,
				got.Dialect,
				got.URL,
				got.Without,
				test.dialect,
				test.url,
				test.without,
			)
		}
		if strings.Contains(got.String(), "auth_key") {
			t.Errorf("%s: shown as %s, with its signature", test.raw, got)
		}
	}
}

func TestParseRefusesWhatItCannotReach(t *testing.T) {
	for raw, options := range map[string]Options{
		"rtmp://a/b/c": {}, "artc://": {}, "live/s": {},
		"artc://a/b/c": {Dialect: "leb"}, "artc://a/b/d": {TLS: true, Plain: true}, "artc://a/b/e": {Connect: "nohost"},
	} {
		if got, err := Parse(raw, options); err == nil {
			t.Errorf("%s %+v: got %v, want an error", raw, options, got)
		}
	}
}

// serve starts a server and gives a target whose URL names another host and which connects to the server.
func serve(t *testing.T, scheme string, handle http.HandlerFunc) *Target {
	t.Helper()
	server := httptest.NewServer(handle)
	t.Cleanup(server.Close)
	target, err := Parse(
		scheme+"://rts.example.com/live/s?auth_key=secret",
		Options{Connect: strings.TrimPrefix(server.URL, "http://")},
	)
	if err != nil {
		t.Fatal(err)
	}
	return target
}

func TestARTCSendsWhatTheOfficialSDKSends(t *testing.T) {
	var got map[string]any
	var contentType, host, path string
	target := serve(t, "artc", func(w http.ResponseWriter, r *http.Request) {
		contentType, host, path = r.Header.Get("Content-Type"), r.Host, r.URL.String()
		_ = json.NewDecoder(r.Body).Decode(&got)
		fmt.Fprint(w, `{"code":200,"trace_id":"t1","jsep":{"type":"answer","sdp":"v=0 answer"}}`)
	})
	session, err := target.Offer(t.Context(), "v=0 offer")
	if err != nil {
		t.Fatal(err)
	}
	if session.Answer != "v=0 answer" || session.TraceID != "t1" {
		t.Errorf("session %+v", session)
	}
	if contentType != "application/x-www-form-urlencoded; charset=UTF-8" || host != "rts.example.com" ||
		path != "/live/s?auth_key=secret" {
		t.Errorf("content type %q, host %q, path %q", contentType, host, path)
	}
	pull := got["pull_streams"].([]any)[0].(map[string]any)
	if pull["url"] != "artc://rts.example.com/live/s?auth_key=secret" || got["version"] != 2.0 || got["mode"] != "live" {
		t.Errorf("body %v", got)
	}
	if offer := got["jsep"].(map[string]any); offer["type"] != "offer" || offer["sdp"] != "v=0 offer" {
		t.Errorf("jsep %v", offer)
	}
}

func TestWHEPEndsItsSessionByDelete(t *testing.T) {
	deleted := make(chan string, 1)
	target := serve(t, "http", func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		switch {
		case r.Method == http.MethodDelete:
			deleted <- r.URL.Path
		case r.Method == http.MethodPost && r.Header.Get("Content-Type") == "application/sdp" && string(body) == "v=0 offer":
			w.Header().Set("Location", "../session/7")
			w.WriteHeader(http.StatusCreated)
			fmt.Fprint(w, "v=0 answer")
		default:
			w.WriteHeader(http.StatusBadRequest)
		}
	})
	session, err := target.Offer(t.Context(), "v=0 offer")
	if err != nil {
		t.Fatal(err)
	}
	if err := session.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	if path := <-deleted; path != "/session/7" {
		t.Errorf("DELETE %s, want /session/7", path)
	}
}

func TestRefusalCarriesTheServersWords(t *testing.T) {
	tests := []struct {
		status  int
		header  string
		body    string
		scheme  string
		message string
		wait    time.Duration
	}{
		{
			403,
			"",
			`{"code":403,"message":"the signature has expired"}`,
			"artc",
			"403 Forbidden: the signature has expired",
			0,
		},
		{404, "", "no such stream", "artc", "404 Not Found: no such stream", time.Second},
		{409, "7", `{"error":"nobody publishes"}`, "http", "409 Conflict: nobody publishes", 7 * time.Second},
		{503, "2", "", "http", "503 Service Unavailable", 2 * time.Second},
		{201, "", `{"jsep":{"sdp":"v=0"}}`, "artc", "(want 200)", 0},
		{200, "", "v=0", "http", "(want 201)", 0},
		{200, "", `{"code":404,"message":"stream is gone"}`, "artc", "stream is gone", 0},
		{200, "", "<html>", "artc", "no JSON", 0},
	}
	for _, test := range tests {
		target := serve(t, test.scheme, func(w http.ResponseWriter, _ *http.Request) {
			if test.header != "" {
				w.Header().Set("Retry-After", test.header)
			}
			w.WriteHeader(test.status)
			fmt.Fprint(w, test.body)
		})
		_, err := target.Offer(t.Context(), "v=0")
		if err == nil || !strings.Contains(err.Error(), test.message) {
			t.Errorf("%d %s: %v, want %q", test.status, test.body, err, test.message)
			continue
		}
		if strings.Contains(err.Error(), "secret") {
			t.Errorf("%d: the error shows the signature: %v", test.status, err)
		}
		if wait, ok := Waitable(err); ok != (test.wait > 0) || wait != test.wait {
			t.Errorf("%d: wait %v %v, want %v", test.status, wait, ok, test.wait)
		}
	}
}

func TestUnreachableServerDoesNotShowTheSignature(t *testing.T) {
	target := serve(t, "artc", func(http.ResponseWriter, *http.Request) {})
	target.connect = "127.0.0.1:1"
	_, err := target.Offer(t.Context(), "v=0")
	var status *StatusError
	var wrapped *url.Error
	if err == nil || errors.As(err, &status) || errors.As(err, &wrapped) || strings.Contains(err.Error(), "secret") {
		t.Errorf("error %v", err)
	}
}

func TestNamesBelowLocalhostAreThisMachine(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprintf(w, `{"jsep":{"type":"answer","sdp":"v=0 %s"}}`, strings.Split(r.Host, ":")[0])
	}))
	t.Cleanup(server.Close)
	port := server.URL[strings.LastIndex(server.URL, ":"):]
	target, err := Parse("artc://rts.millrace.localhost"+port+"/live/s", Options{})
	if err != nil {
		t.Fatal(err)
	}
	session, err := target.Offer(t.Context(), "v=0")
	if err != nil || session.Answer != "v=0 rts.millrace.localhost" {
		t.Errorf("session %+v, error %v", session, err)
	}
}
