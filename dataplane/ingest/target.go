package ingest

import (
	"errors"
	"fmt"
	"net"
	"net/url"
	"strings"
)

// maxName bounds the names of apps and streams, in bytes.
const maxName = 256

// target is what an encoder asks to publish to, before anything was checked.
type target struct {
	host     string // push domain: lower case, no port
	path     string // "/app/stream" as sent; with URL signing of type B or C the signature is a part of it
	rawQuery string // where the URL's signature and other arguments are
}

// findTarget reads the push domain and the path out of what the encoder sent: the tcUrl and the app of its connect
// command, the stream key of its publish command, and the server name of its TLS connection.
//
// The domain is, in this order: the argument vhost of stream key or tcUrl, the server name, the host of tcUrl.
func findTarget(tcURL, app, streamKey, serverName string) (target, error) {
	if len(tcURL) > 2048 || len(app) > 2048 || len(streamKey) > 2048 {
		return target{}, errors.New("the URL is longer than 2048 bytes")
	}
	base, tcQuery, _ := strings.Cut(tcURL, "?")
	appPath, appQuery, _ := strings.Cut(app, "?")
	name, keyQuery, _ := strings.Cut(streamKey, "?")

	t := target{rawQuery: keyQuery}
	for _, q := range []string{keyQuery, tcQuery, appQuery} {
		if hasArgument(q, "auth_key") || hasArgument(q, "KEY1") {
			t.rawQuery = q
			break
		}
	}
	t.path = "/" + strings.Trim(strings.Trim(appPath, "/")+"/"+strings.Trim(name, "/"), "/")

	for _, q := range []string{keyQuery, tcQuery, appQuery} {
		if v := argument(q, "vhost"); v != "" && t.host == "" {
			t.host = v
		}
	}
	if t.host == "" {
		t.host = serverName
	}
	if t.host == "" {
		_, rest, _ := strings.Cut(base, "://")
		t.host, _, _ = strings.Cut(rest, "/")
	}
	t.host = canonicalHost(t.host)
	if t.host == "" {
		return target{}, errors.New("the URL names no push domain; publish to rtmp://push-domain/app/stream")
	}
	return t, nil
}

// canonicalHost returns a host in lower case without port, user and trailing dot.
func canonicalHost(host string) string {
	if i := strings.LastIndexByte(host, '@'); i >= 0 {
		host = host[i+1:]
	}
	if h, _, err := net.SplitHostPort(host); err == nil {
		host = h
	}
	return strings.ToLower(strings.TrimSuffix(host, "."))
}

// argument returns the decoded value of a query argument.
func argument(rawQuery, name string) string {
	for pair := range strings.SplitSeq(rawQuery, "&") {
		if k, v, _ := strings.Cut(pair, "="); k == name {
			if decoded, err := url.QueryUnescape(v); err == nil {
				return decoded
			}
			return v
		}
	}
	return ""
}

func hasArgument(rawQuery, name string) bool {
	for pair := range strings.SplitSeq(rawQuery, "&") {
		if k, _, _ := strings.Cut(pair, "="); k == name {
			return true
		}
	}
	return false
}

// splitPath splits "/app/stream" and checks both names.
func splitPath(path string) (app, name string, err error) {
	app, name, ok := strings.Cut(strings.TrimPrefix(path, "/"), "/")
	if !ok || app == "" || name == "" || strings.Contains(name, "/") {
		return "", "", errors.New("the URL must be rtmp://push-domain/app/stream, with one app and one stream name")
	}
	for what, s := range map[string]string{"app": app, "stream": name} {
		if err := checkName(s); err != nil {
			return "", "", fmt.Errorf("the %s name %w", what, err)
		}
	}
	return app, name, nil
}

// checkName checks the name of an app or a stream: 1 to 256 letters, digits, '.', '_' and '-', not beginning with a
// dot.
func checkName(s string) error {
	if len(s) > maxName {
		return fmt.Errorf("is longer than %d characters", maxName)
	}
	for i := range len(s) {
		c := s[i]
		switch {
		case c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z', c >= '0' && c <= '9', c == '_', c == '-':
		case c == '.' && i > 0:
		default:
			return errors.New("may only have letters, digits, '.', '_' and '-', and must not begin with a dot")
		}
	}
	return nil
}
