// Package player serves the web player: a page that plays the stream of the very URL it is loaded from, and the files
// it is made of.
package player

import (
	"embed"
	"io/fs"
	"net/http"
	"strings"

	"github.com/millrace/millrace/internal/contract/plan"
)

// Prefix is the reserved path under which the page's files are served. No app is called "-", so it never hides a
// stream.
const Prefix = "/-/player/"

//go:generate ./build.sh

//go:embed dist
var dist embed.FS

// Before serves the page and its files for play domains, and leaves all other requests to next.
func Before(current *plan.Current, next http.Handler) http.Handler {
	files := Handler()
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		d := current.Load().Play(plan.Hostname(r.Host))
		switch {
		case d == nil:
			next.ServeHTTP(w, r)
		case strings.HasPrefix(r.URL.Path, Prefix):
			files.ServeHTTP(w, r)
		case Wanted(r, d):
			Page(w, r, d)
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
