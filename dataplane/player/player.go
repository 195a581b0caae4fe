// Package player serves the web player: a page that plays the very URL it is loaded from, and the files it is made of.
package player

import (
	"embed"
	"io/fs"
	"net/http"
	"strconv"
	"strings"
)

// Prefix is the reserved path under which the page's files are served. No app is called "-", so it never hides a stream.
const Prefix = "/-/player/"

//go:generate ./build.sh

//go:embed dist
var dist embed.FS

// policy lets the page run its own files and talk to its own host, nothing else. It may be framed by any site: it shows a public picture and
// acts on nothing else, and sites do embed players.
const policy = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; media-src 'self' blob:; " +
	"base-uri 'none'; form-action 'none'; frame-ancestors *; require-trusted-types-for 'script'"

// Wanted tells whether a request to a play URL asks for the page: GET or HEAD with text/html among the accepted types. What players and tools
// send (*/*, application/json, nothing) does not ask for it.
func Wanted(r *http.Request) bool {
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
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

// Page answers a play URL with the page. It does not look at the URL: the page asks for the stream itself and shows what comes back.
func Page(w http.ResponseWriter, r *http.Request) {
	page, err := dist.ReadFile("dist/index.html")
	if err != nil {
		http.Error(w, "The player page is not part of this build; build it with dataplane/player/build.sh", http.StatusNotFound)
		return
	}
	h := w.Header()
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Set("Content-Length", strconv.Itoa(len(page)))
	// The same URL answers other clients with other things, and a new version of the page names other files.
	h.Set("Cache-Control", "no-store")
	h.Add("Vary", "Accept")
	h.Set("Content-Security-Policy", policy)
	// The page's URL may carry a signature: it goes to no other site.
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("X-Content-Type-Options", "nosniff")
	if r.Method == http.MethodHead {
		return
	}
	w.Write(page) //nolint:errcheck // the client has gone; there is nobody to tell
}

// Before serves the page and its files, and leaves all other requests to next.
func Before(next http.Handler) http.Handler {
	files := Handler()
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch {
		case strings.HasPrefix(r.URL.Path, Prefix):
			files.ServeHTTP(w, r)
		case Wanted(r):
			Page(w, r)
		default:
			next.ServeHTTP(w, r)
		}
	})
}

// Handler serves the page's files below Prefix. Their names change with their content, so they may be cached for good.
func Handler() http.Handler {
	files, err := fs.Sub(dist, "dist/assets")
	if err != nil {
		panic("player: " + err.Error()) // the path is a constant, so this is a broken build
	}
	serve := http.StripPrefix(Prefix+"assets/", http.FileServerFS(files))
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		name, ok := strings.CutPrefix(r.URL.Path, Prefix+"assets/")
		if !ok || name == "" || strings.Contains(name, "/") {
			http.NotFound(w, r)
			return
		}
		if r.Method != http.MethodGet && r.Method != http.MethodHead {
			w.Header().Set("Allow", "GET, HEAD")
			http.Error(w, "Method not allowed", http.StatusMethodNotAllowed)
			return
		}
		if _, err := fs.Stat(files, name); err != nil {
			http.NotFound(w, r)
			return
		}
		w.Header().Set("Cache-Control", "public, max-age=31536000, immutable")
		w.Header().Set("X-Content-Type-Options", "nosniff")
		serve.ServeHTTP(w, r)
	})
}
