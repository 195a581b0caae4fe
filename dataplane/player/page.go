package player

import (
	"html"
	"net"
	"net/http"
	"strconv"
	"strings"

	"github.com/millrace/millrace/internal/contract/plan"
)

// policy lets the page run its own files and talk to its own host and to its fallback, nothing else. It may be framed
// by any site: it shows a public picture and acts on nothing else, and sites do embed players.
const policy = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'%; " +
	"media-src 'self' blob:%; " +
	"base-uri 'none'; form-action 'none'; frame-ancestors *; require-trusted-types-for 'script'"

// placeholder stands in the built page where the page is told how it may play.
const placeholder = "%how%"

// Wanted reports whether a request to a play domain asks for the page: GET or HEAD with text/html among the accepted
// types, of a domain that a browser can play from, and not of a file of FLV or HLS. What players and tools send (*/*,
// application/json, nothing) does not ask for it.
func Wanted(r *http.Request, d *plan.PlayDomain) bool {
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		return false
	}
	if d.Type == plan.Standard && (len(plan.InBrowsers(d.Protocols)) == 0 || isFile(r.URL.Path)) {
		return false
	}
	for _, accept := range r.Header.Values("Accept") {
		for part := range strings.SplitSeq(accept, ",") {
			media, _, _ := strings.Cut(part, ";")
			if strings.EqualFold(strings.TrimSpace(media), "text/html") {
				return true
			}
		}
	}
	return false
}

// isFile tells what is FLV or HLS on a Standard domain.
func isFile(path string) bool {
	return strings.HasSuffix(path, ".flv") || strings.HasSuffix(path, ".m3u8") || strings.Contains(path, "/-/")
}

// how words for the page how it may play, best first: "RTS FLV,HLS@main.example.com". The page asks for FLV and HLS on
// the port it came from.
func how(d *plan.PlayDomain) string {
	if d.Type == plan.Standard {
		return standard(plan.InBrowsers(d.Protocols), d.Hostname)
	}
	if d.Fallback == nil {
		return "RTS"
	}
	return "RTS " + standard(d.Fallback.Protocols, d.Fallback.Hostname)
}

func standard(by []plan.Protocol, host string) string {
	var names []string
	for _, p := range by {
		names = append(names, string(p))
	}
	return strings.Join(names, ",") + "@" + host
}

// allow returns the page's policy. A fallback is another host on the same port.
func allow(r *http.Request, d *plan.PlayDomain) string {
	other := ""
	if d.Fallback != nil {
		other = " " + d.Fallback.Hostname
		if _, port, err := net.SplitHostPort(r.Host); err == nil {
			if _, err := strconv.ParseUint(port, 10, 16); err == nil {
				other += ":" + port
			}
		}
	}
	return strings.ReplaceAll(policy, "%", other)
}

// Page answers a URL of a play domain with the page. It does not look at the URL: the page asks for the stream itself
// and shows what comes back.
func Page(w http.ResponseWriter, r *http.Request, d *plan.PlayDomain) {
	page, err := dist.ReadFile("dist/index.html")
	if err != nil {
		http.Error(
			w,
			"The player page is not part of this build; build it with dataplane/player/build.sh",
			http.StatusNotFound,
		)
		return
	}
	body := strings.Replace(string(page), placeholder, html.EscapeString(how(d)), 1)
	h := w.Header()
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Set("Content-Length", strconv.Itoa(len(body)))
	// The same URL answers other clients with other things, and a new version of the page names other files.
	h.Set("Cache-Control", "no-store")
	h.Add("Vary", "Accept")
	h.Set("Content-Security-Policy", allow(r, d))
	// The page's URL may carry a signature: it goes to no other site. Its own host may allow some pages alone.
	h.Set("Referrer-Policy", "same-origin")
	h.Set("X-Content-Type-Options", "nosniff")
	if r.Method == http.MethodHead {
		return
	}
	_, _ = w.Write([]byte(body)) // a client that has gone
}
