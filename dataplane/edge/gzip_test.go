package edge

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"
)

func TestPlaylistsAreCompressedForWhoTakesIt(t *testing.T) {
	e := &Edge{}
	var err error
	if e.metrics, err = newMetrics(nil, e); err != nil {
		t.Fatal(err)
	}
	text := strings.Repeat("#EXTINF:2.00000,\n", 100)
	for accept, want := range map[string]bool{
		"":                          false,
		"gzip":                      true,
		"GZIP":                      true,
		"br, gzip;q=0.5":            true,
		"gzip;q=0":                  false,
		"gzip;q=0.000, identity":    false,
		"identity, gzip; q=1":       true,
		"*":                         true,
		"*;q=0":                     false,
		"*, gzip;q=0":               false,
		"gzipped":                   false,
		"gzip;q=nonsense, identity": false,
	} {
		req := httptest.NewRequest(http.MethodGet, "/live/stream.m3u8", nil)
		if accept != "" {
			req.Header.Set("Accept-Encoding", accept)
		}
		w := httptest.NewRecorder()
		e.playlist(w, req, []byte(text), time.Second)
		if got := w.Header().Get("Content-Encoding") == "gzip"; got != want {
			t.Errorf("Accept-Encoding %q: compressed %v, want %v", accept, got, want)
		}
		if !want && w.Body.String() != text {
			t.Errorf("Accept-Encoding %q: the playlist is not as it is", accept)
		}
	}
}
