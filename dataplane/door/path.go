package door

import (
	"net/url"
	"strings"
)

// maxName bounds the names of apps and streams, in bytes as they are sent.
const maxName = 256

// Split takes app and stream out of a path, and undoes its escapes.
func Split(path string) (app, name string, ok bool) {
	app, name, ok = strings.Cut(strings.TrimPrefix(path, "/"), "/")
	if !ok || app == "" || name == "" || strings.Contains(name, "/") || len(app) > maxName || len(name) > maxName {
		return "", "", false
	}
	app, err1 := url.PathUnescape(app)
	name, err2 := url.PathUnescape(name)
	return app, name, err1 == nil && err2 == nil
}

// shown cuts a name from the network down to what an answer can carry.
func shown(s string) string {
	const most = 80
	if len(s) > most {
		return s[:most] + "..."
	}
	return s
}
