package signal

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/millrace/millrace/dataplane/door"
)

func TestLocate(t *testing.T) {
	for url, want := range map[string]Ask{
		"/live/a":                                    {Path: "/live/a"},
		"/live/a@subaudio=no":                        {Path: "/live/a", NoAudio: true},
		"/live/a@subvideo=no&subaudio=no":            {Path: "/live/a", NoAudio: true, NoVideo: true},
		"/live/a?auth_key=1-2@subaudio=no":           {Path: "/live/a", RawQuery: "auth_key=1-2", NoAudio: true},
		"/live/a@subaudio=yes":                       {Path: "/live/a"},
		"/live/a?auth_key=1@subaudio=no@subvideo=no": {Path: "/live/a", RawQuery: "auth_key=1", NoAudio: true, NoVideo: true},
	} {
		path, query, _ := strings.Cut(url, "?")
		var ask Ask
		ask.Locate(path, query)
		if ask != want {
			t.Errorf("%s gives %+v", url, ask)
		}
	}
}

func TestStreamURLs(t *testing.T) {
	for text, host := range map[string]string{
		"webrtc://Play.Example.com:8443/live/a?txSecret=1": "play.example.com",
		"webrtc://[2001:db8::1]/live/a":                    "2001:db8::1",
		"":                                                 "", "/live/a": "", "webrtc:///live/a": "", "webrtc://h/" +
			strings.Repeat("a", 5000): "", "%": "",
	} {
		var ask Ask
		if r := ask.locateURL(text); (r == nil) != (host != "") || r == nil && (ask.Host != host || ask.Path != "/live/a") {
			t.Errorf("%.40q gives %+v, %v", text, ask, r)
		}
	}
}

// Each dialect refuses in its own form, always with the status, the reason and when to come back.
func TestRefusals(t *testing.T) {
	r := door.Refuse(door.StreamNotFound, "live", "a")
	r.RetryAfter = 1500 * time.Millisecond
	r.Alternatives = []string{"artc://h/live/a_hd"}
	type words struct {
		status int
		code   string
	}
	own := map[string]words{"whep": {409, `"code":409`}, "leb": {404, `"errcode":100010`}}
	for _, d := range Table() {
		c, special := own[d.Name()]
		if !special {
			c = words{404, `"code":404`}
		}
		w := httptest.NewRecorder()
		d.Refuse(w, r, "trace")
		body := w.Body.String()
		if w.Code != c.status || !strings.Contains(body, c.code) || !strings.Contains(body, "StreamNotFound") ||
			!strings.Contains(body, "artc://h/live/a_hd") ||
			w.Header().Get("Retry-After") != "2" {
			t.Errorf("%s: %d %v %s", d.Name(), w.Code, w.Header(), body)
		}
	}
	if r.Status != http.StatusNotFound {
		t.Error("refusing changed the refusal")
	}
	w := httptest.NewRecorder()
	ARTC{}.Refuse(w, door.Refuse(door.AddressNotAllowed, "h"), "")
	if w.Header().Get("X-Tengine-Error") == "" {
		t.Error("the player is not told that its address is refused")
	}
}

func TestBodyIsBounded(t *testing.T) {
	for size, want := range map[int]int{MaxBody: 0, MaxBody + 1: http.StatusRequestEntityTooLarge} {
		req := httptest.NewRequest("POST", "/", strings.NewReader(strings.Repeat("a", size)))
		if b, r := ReadBody(httptest.NewRecorder(), req); want == 0 && (r != nil || len(b) != size) ||
			want != 0 && (r == nil || r.Status != want) {
			t.Errorf("%d bytes: %v", size, r)
		}
	}
	req := httptest.NewRequest("POST", "/", brokenBody{})
	if _, r := ReadBody(httptest.NewRecorder(), req); r == nil || r.Status != http.StatusBadRequest {
		t.Errorf("a broken body: %v", r)
	}
}

type brokenBody struct{}

func (brokenBody) Read([]byte) (int, error) { return 0, errors.New("broken") }

// Whatever a dialect makes of a body: an ask with an offer, a session to end, or a refusal that can be shown.
func FuzzRead(f *testing.F) {
	for i := range Table() {
		for _, seed := range []string{
			`{"version":2,"sdk_version":"0.0.1","mode":"live","pull_streams":[{"url":"artc://h/a/b","amsid":["rts audio"]}],` +
				`"jsep":{"type":"offer","sdp":"v=0"}}`,
			`{"push_stream":"artc://h/a/b"}`,
			`{"pull_streams":[{},{}],"jsep":{}}`,
			`{"api":"http://h/rtc/v1/play/","streamurl":"webrtc://h/a/b","sdp":"v=0","clientip":null}`,
			`{"streamurl":"webrtc://h/a/b?txSecret=1","sessionid":"1","localsdp":{"type":"offer","sdp":"v=0"}}`,
			`{"svrsig":"session"}`, `{`, `[]`, `{"jsep":null}`, `{"streamurl":"webrtc://%/","sdp":"v=0"}`, `v=0`,
		} {
			f.Add(uint8(i), []byte(seed))
		}
	}
	wants := func(t *testing.T, r *Refusal) {
		if r.Status < 400 || r.Status > 499 || r.Reason == "" || r.Message == "" {
			t.Fatalf("%+v", r)
		}
	}
	f.Fuzz(func(t *testing.T, i uint8, body []byte) {
		row := Table()[int(i)%len(Table())]
		var ask Ask
		if r := row.Read(body, &ask); r != nil {
			wants(t, r)
		} else if ask.SDP == "" && len(body) > 0 {
			t.Fatal("taken without an offer")
		}
		stopper, ok := row.Dialect.(Stopper)
		if !ok {
			return
		}
		if session, r := stopper.ReadStop(body); r != nil {
			wants(t, r)
		} else if session == "" {
			t.Fatal("taken without a session")
		}
	})
}

func FuzzPatch(f *testing.F) {
	f.Add([]byte("a=ice-ufrag:mine\r\na=candidate:1"), `"tag"`)
	f.Add([]byte("a=ice-ufrag:other"), "*")
	f.Fuzz(func(t *testing.T, body []byte, match string) {
		req := httptest.NewRequest("PATCH", "/", nil)
		req.Header.Set("Content-Type", ContentFragment)
		req.Header.Set("If-Match", match)
		if r := Patch(req, body, `"tag"`, "mine"); r == nil && match != `"tag"` {
			t.Fatalf("If-Match %q is taken", match)
		}
	})
}
