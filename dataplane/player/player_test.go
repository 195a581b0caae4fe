package player_test

import (
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"testing"

	"github.com/millrace/millrace/dataplane/player"
	"github.com/millrace/millrace/internal/contract/plan"
)

func rts() *plan.PlayDomain { return &plan.PlayDomain{Hostname: "rts.example.com", Type: plan.RTS} }

func standard(by ...plan.Protocol) *plan.PlayDomain {
	return &plan.PlayDomain{Hostname: "play.example.com", Type: plan.Standard, Protocols: by}
}

// A Standard domain has the page for streams, where a browser can play from it; what is a file of FLV or HLS stays one.
func TestStandardDomainsHaveThePage(t *testing.T) {
	for _, tc := range []struct {
		path string
		by   *plan.PlayDomain
		want bool
	}{
		{"/live/cam", standard(plan.RTMP, plan.FLV), true},
		{"/live/cam", standard(plan.HLS), true},
		{"/live/cam", standard(plan.RTMP), false},
		{"/live/cam.flv", standard(plan.FLV, plan.HLS), false},
		{"/live/cam.m3u8", standard(plan.FLV, plan.HLS), false},
		{"/live/cam/-/video.m3u8", standard(plan.FLV, plan.HLS), false},
		{"/live/cam/-/seg1.mp4", standard(plan.FLV, plan.HLS), false},
	} {
		r := httptest.NewRequest(http.MethodGet, tc.path, nil)
		r.Header.Set("Accept", "text/html")
		if got := player.Wanted(r, tc.by); got != tc.want {
			t.Errorf("%s by %v: wanted = %v, want %v", tc.path, tc.by.Protocols, got, tc.want)
		}
	}
}

// The page is told how it may play, and its policy lets it ask its fallback, on the port that it came from, and nobody
// else.
func TestPageKnowsItsFallback(t *testing.T) {
	sub := rts()
	sub.Fallback = &plan.Fallback{Hostname: "main.example.com", Protocols: []plan.Protocol{plan.FLV, plan.HLS}}
	for _, tc := range []struct {
		name, host string
		d          *plan.PlayDomain
		how        string
		connect    string
	}{
		{"no fallback", "rts.example.com:8080", rts(), "RTS", "connect-src 'self';"},
		{"fallback", "rts.example.com", sub, "RTS FLV,HLS@main.example.com", "connect-src 'self' main.example.com;"},
		{"on a port", "rts.example.com:8443", sub, "RTS FLV,HLS@main.example.com",
			"connect-src 'self' main.example.com:8443;"},
		{"on no port", "rts.example.com:8443; script-src *", sub, "RTS FLV,HLS@main.example.com",
			"connect-src 'self' main.example.com;"},
		{"standard", "play.example.com", standard(plan.RTMP, plan.HLS), "HLS@play.example.com", "connect-src 'self';"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			r := httptest.NewRequest(http.MethodGet, "/live/cam", nil)
			r.Host = tc.host
			w := httptest.NewRecorder()
			player.Page(w, r, tc.d)
			if !strings.Contains(w.Body.String(), `content="`+tc.how+`"`) {
				t.Errorf("the page does not say %q", tc.how)
			}
			if got := w.Header().Get("Content-Security-Policy"); !strings.Contains(got, tc.connect) {
				t.Errorf("policy %q, want %q in it", got, tc.connect)
			}
		})
	}
}

func TestWanted(t *testing.T) {
	for _, tc := range []struct {
		method, accept string
		want           bool
	}{
		{"GET", "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8", true},
		{"HEAD", "Text/HTML; charset=utf-8", true},
		{"GET", "application/json, text/html", true},
		{"GET", "*/*", false},
		{"GET", "", false},
		{"GET", "application/json, text/plain, */*", false},
		{"POST", "text/html", false},
		{"OPTIONS", "text/html", false},
	} {
		r := httptest.NewRequest(tc.method, "/live/cam", nil)
		if tc.accept != "" {
			r.Header.Set("Accept", tc.accept)
		}
		if got := player.Wanted(r, rts()); got != tc.want {
			t.Errorf("%s with Accept %q: wanted = %v, want %v", tc.method, tc.accept, got, tc.want)
		}
	}
}

// Every file that the page names is served, may be cached for good, and has a type that a browser runs in spite of
// nosniff.
func TestPageAndItsFiles(t *testing.T) {
	page := httptest.NewRecorder()
	player.Page(page, httptest.NewRequest(http.MethodGet, "/live/cam?auth_key=1-2-3-4", nil), rts())
	if page.Code != http.StatusOK {
		t.Fatalf("page: status %d: %s", page.Code, page.Body)
	}
	if got := page.Header().Get("Cache-Control"); got != "no-store" {
		t.Errorf("page: Cache-Control = %q, want no-store", got)
	}
	policy := page.Header().Get("Content-Security-Policy")
	if !strings.Contains(policy, "default-src 'none'") || strings.Contains(policy, "unsafe") {
		t.Errorf("page: Content-Security-Policy is not strict: %q", policy)
	}
	body := page.Body.String()
	if strings.Contains(body, "auth_key") {
		t.Error("page: it repeats the query of the request")
	}
	if m := regexp.MustCompile(`<script>|<style>|\sstyle=|\son\w+=`).FindString(body); m != "" {
		t.Errorf("page: %q would be refused by its own policy", m)
	}

	types := map[string]string{".js": "javascript", ".css": "text/css", ".svg": "image/svg"}
	files := regexp.MustCompile(`(?:src|href)="([^"]+)"`).FindAllStringSubmatch(body, -1)
	seen := map[string]bool{}
	for _, file := range files {
		path := file[1]
		if !strings.HasPrefix(path, player.Prefix) {
			t.Errorf("page: %s is outside of %s", path, player.Prefix)
			continue
		}
		answer := httptest.NewRecorder()
		player.Handler().ServeHTTP(answer, httptest.NewRequest(http.MethodGet, path, nil))
		if answer.Code != http.StatusOK || answer.Body.Len() == 0 {
			t.Errorf("%s: status %d with %d bytes", path, answer.Code, answer.Body.Len())
		}
		if !strings.Contains(answer.Header().Get("Cache-Control"), "immutable") {
			t.Errorf("%s: Cache-Control = %q", path, answer.Header().Get("Cache-Control"))
		}
		ext := path[strings.LastIndexByte(path, '.'):]
		if !strings.Contains(answer.Header().Get("Content-Type"), types[ext]) {
			t.Errorf("%s: Content-Type = %q", path, answer.Header().Get("Content-Type"))
		}
		seen[ext] = true
	}
	if !seen[".js"] || !seen[".css"] {
		t.Errorf("page names no script or no style sheet: %v", files)
	}
}

func TestHeadHasNoBody(t *testing.T) {
	w := httptest.NewRecorder()
	player.Page(w, httptest.NewRequest(http.MethodHead, "/live/cam", nil), rts())
	if w.Code != http.StatusOK || w.Body.Len() != 0 || w.Header().Get("Content-Length") == "0" {
		t.Errorf("status %d, %d bytes, Content-Length %s", w.Code, w.Body.Len(), w.Header().Get("Content-Length"))
	}
}

func TestHandlerServesNothingElse(t *testing.T) {
	for _, path := range []string{"", "assets/", "assets/none.js", "index.html", "assets/../index.html", "assets/a/b.js"} {
		w := httptest.NewRecorder()
		r := httptest.NewRequest(http.MethodGet, "/", nil)
		r.URL.Path = player.Prefix + path
		player.Handler().ServeHTTP(w, r)
		if w.Code != http.StatusNotFound {
			t.Errorf("%s: status %d, want 404", r.URL.Path, w.Code)
		}
	}
}
