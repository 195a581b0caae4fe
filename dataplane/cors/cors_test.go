package cors

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

func TestHeadersThatPlayersAskFor(t *testing.T) {
	p := Policy{Methods: "GET", Headers: "Range", Expose: "Content-Length"}
	for asked, want := range map[string]string{
		"":                              "Range",
		"cmcd-object,cmcd-request":      "Range, cmcd-object,cmcd-request",
		"X-Token, Authorization":        "Range, X-Token, Authorization",
		"a,,b":                          "Range",
		"x\r\nSet-Cookie: a":            "Range",
		strings.Repeat("a", maxAsked+1): "Range",
	} {
		req := httptest.NewRequest(http.MethodOptions, "/live/stream.m3u8", nil)
		req.Header["Access-Control-Request-Headers"] = []string{asked}
		w := httptest.NewRecorder()
		p.Write(w.Header(), req)
		if got := w.Header().Get("Access-Control-Allow-Headers"); got != want {
			t.Errorf("%q is answered with %q, want %q", asked, got, want)
		}
	}
}
