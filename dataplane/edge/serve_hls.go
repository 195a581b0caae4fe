package edge

import (
	"cmp"
	"compress/gzip"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/millrace/millrace/dataplane/door"
	"github.com/millrace/millrace/dataplane/edge/hls"
	"github.com/millrace/millrace/dataplane/hub"
	"github.com/millrace/millrace/internal/contract/plan"
)

const (
	mimePlaylist = "application/vnd.apple.mpegurl"
	// marker stands between a stream's path and the files of its HLS: no stream is called "-".
	marker     = "-"
	mediaIndex = "index.m3u8"

	argumentFormat = "format" // ts or ll
	argumentToken  = "mr"     // what a multivariant playlist gives to authorise the rest
)

// resource is a file of an HLS stream.
type resource struct{ app, name, id, file string }

// hlsResource reads .../app/stream/-/id/file; nil when the path is none.
func hlsResource(path string) *resource {
	parts := strings.Split(path, "/")
	n := len(parts)
	if n < 6 || n > 12 || parts[n-3] != marker {
		return nil
	}
	app, name, ok := door.Split("/" + parts[n-5] + "/" + parts[n-4])
	if !ok {
		return nil
	}
	return &resource{app, name, parts[n-2], parts[n-1]}
}

// serveMultivariant answers /app/stream.m3u8. It asks all questions once; what it names carries the answer.
func (e *Edge) serveMultivariant(w http.ResponseWriter, req *http.Request, a *door.Ask) {
	if !allowed(w, req) {
		return
	}
	a.Suffix = ".m3u8"
	pass, no := e.door.Enter(req.Context(), a)
	if no != nil {
		e.metrics.joins.WithLabelValues("hls", no.Reason).Inc()
		refuse(w, no)
		return
	}
	format := hls.LowLatency
	if req.URL.Query().Get(argumentFormat) == string(hls.TS) {
		format = hls.TS
	}
	m := e.hls.Open(pass.Stream, format)
	if m == nil {
		refuse(w, door.Refuse(door.Shutdown))
		return
	}
	e.metrics.joins.WithLabelValues("hls", "answered").Inc()
	uri := url.PathEscape(
		pass.Stream.Key.Name,
	) + "/" + marker + "/" + m.ID + "/" + mediaIndex + token(
		pass.Domain,
		pass.Stream.Key,
		time.Now(),
	)
	e.playlist(w, req, m.Multivariant(uri), time.Second)
}

// serveResource answers for playlists, segments and parts.
func (e *Edge) serveResource(w http.ResponseWriter, req *http.Request, a *door.Ask, r *resource) {
	if !allowed(w, req) {
		return
	}
	d, _, no := e.door.Knock(a)
	if no == nil &&
		!tokenGood(d, hub.Key{Space: d.Space, App: r.app, Name: r.name}, req.URL.Query().Get(argumentToken), time.Now()) {
		no = door.Refuse(door.SignatureInvalid,
			"this URL is of a playlist that has expired; ask for /app/stream.m3u8 again")
	}
	var m *hls.Muxer
	if no == nil {
		if m = e.hls.Find(hub.Key{Space: d.Space, App: r.app, Name: r.name}, r.id); m == nil {
			no = door.Refuse(door.SegmentNotFound,
				"this stream's playlist is not here, or not any more; ask for /app/stream.m3u8 again")
		}
	}
	if no != nil {
		refuse(w, no)
		return
	}
	if r.file == mediaIndex {
		if no = e.door.Stay(d, a, m.Key); no != nil {
			refuse(w, no)
			return
		}
		e.serveMedia(w, req, m, d)
		return
	}
	pieces, mime, err := m.Resource(req.Context(), r.file)
	if err != nil {
		refuse(w, refusalOf(err))
		return
	}
	size := 0
	for _, p := range pieces {
		size += len(p)
	}
	e.metrics.hls.WithLabelValues("media").Inc()
	h := w.Header()
	h.Set("Content-Type", mime)
	h.Set("Content-Length", strconv.Itoa(size))
	h.Set("Cache-Control", "public, max-age=3600, immutable") // the names carry the muxer's id
	if req.Method == http.MethodHead {
		return
	}
	e.door.Sent(d.Hostname, plan.Standard, uint64(size))
	for _, p := range pieces {
		if _, err := w.Write(p); err != nil { //nolint:gosec // media with a type of its own, and sniffing is off
			return
		}
	}
}

// serveMedia answers with a media playlist, when what the player waits for is in it.
func (e *Edge) serveMedia(w http.ResponseWriter, req *http.Request, m *hls.Muxer, d *plan.PlayDomain) {
	want, no := wanted(req.URL.Query())
	if no != nil {
		refuse(w, no)
		return
	}
	query := ""
	if t := req.URL.Query().Get(argumentToken); t != "" {
		query = "?" + argumentToken + "=" + url.QueryEscape(t)
	}
	text, err := m.Playlist(req.Context(), want, query)
	if err != nil {
		refuse(w, refusalOf(err))
		return
	}
	age := time.Second
	if want.Blocking { // one answer for good, as good as the segments that it names
		age = 6 * time.Second
	}
	e.door.Sent(d.Hostname, plan.Standard, uint64(len(text)))
	e.playlist(w, req, text, age)
}

// wanted reads the delivery directives.
func wanted(q url.Values) (hls.Want, *door.Refusal) {
	want := hls.Want{Part: -1}
	msn, part := q.Get("_HLS_msn"), q.Get("_HLS_part")
	bad := door.Refuse(door.InvalidDirective,
		"_HLS_msn and _HLS_part must be numbers, and _HLS_part needs _HLS_msn")
	if msn == "" {
		if part != "" {
			return want, bad
		}
		return want, nil
	}
	var err error
	want.Blocking = true
	if want.MSN, err = strconv.ParseUint(msn, 10, 62); err != nil {
		return want, bad
	}
	if part != "" {
		n, err := strconv.ParseUint(part, 10, 31)
		if err != nil {
			return want, bad
		}
		want.Part = int(n)
	}
	return want, nil
}

func refusalOf(err error) *door.Refusal {
	switch {
	case errors.Is(err, hls.ErrGone):
		return door.Refuse(door.SegmentNotFound, err)
	case errors.Is(err, hls.ErrTooFar):
		return door.Refuse(door.InvalidDirective, err)
	case errors.Is(err, context.Canceled):
		return door.Refuse(door.Cancelled)
	}
	return door.Refuse(door.StreamStalled, err)
}

// playlist writes a playlist, compressed where the player takes it, as Apple's rules ask.
func (e *Edge) playlist(w http.ResponseWriter, req *http.Request, text []byte, age time.Duration) {
	e.metrics.hls.WithLabelValues("playlist").Inc()
	h := w.Header()
	h.Set("Content-Type", mimePlaylist)
	h.Set("Cache-Control", fmt.Sprintf("public, max-age=%d", int(age.Seconds())))
	h.Set("Vary", "Accept-Encoding")
	if req.Method == http.MethodHead {
		return
	}
	if !takesGzip(req.Header.Values("Accept-Encoding")) {
		h.Set("Content-Length", strconv.Itoa(len(text)))
		_, _ = w.Write(text) //nolint:gosec // a playlist with a type of its own; the player may be gone
		return
	}
	h.Set("Content-Encoding", "gzip")
	z, ok := e.compressors.Get().(*gzip.Writer)
	if !ok {
		z = gzip.NewWriter(nil)
	}
	z.Reset(w)
	_, _ = z.Write(text)
	_ = z.Close()
	e.compressors.Put(z)
}

// takesGzip reads Accept-Encoding (RFC 9110, 12.5.3): a weight of 0 means that a coding is not acceptable.
func takesGzip(values []string) bool {
	gzip, other := "", ""
	for coding := range strings.SplitSeq(strings.Join(values, ","), ",") {
		name, weight, _ := strings.Cut(strings.ReplaceAll(coding, " ", ""), ";")
		switch strings.ToLower(name) {
		case "gzip", "x-gzip":
			gzip = cmp.Or(weight, "q=1")
		case "*":
			other = cmp.Or(weight, "q=1")
		}
	}
	_, digits, _ := strings.Cut(strings.ToLower(cmp.Or(gzip, other)), "q=")
	q, err := strconv.ParseFloat(digits, 64)
	return err == nil && q > 0
}

// tokenTime is how long what a multivariant playlist names can be asked for, at least.
const tokenTime = 24 * time.Hour

// token authorises the files of a stream's HLS on a signed domain: an end, and a MAC by the domain's key. It is the
// same for all players for an hour, so that caches in front keep one copy. It stands as the only argument of a URL.
func token(d *plan.PlayDomain, key hub.Key, now time.Time) string {
	if d.Auth.Type == plan.AuthNone || d.Auth.Type == "" {
		return ""
	}
	end := now.Truncate(time.Hour).Add(tokenTime + time.Hour).Unix()
	return fmt.Sprintf("?%s=%x-%s", argumentToken, end, mac(cmp.Or(d.Auth.Primary, d.Auth.Backup), d.Hostname, key, end))
}

func mac(secret, host string, key hub.Key, end int64) string {
	h := hmac.New(sha256.New, []byte(secret))
	fmt.Fprintf(h, "millrace hls\n%s\n%s\n%s\n%s\n%d", host, key.Space, key.App, key.Name, end)
	return base64.RawURLEncoding.EncodeToString(h.Sum(nil)[:18])
}

// tokenGood checks a token; either key of the domain is good.
func tokenGood(d *plan.PlayDomain, key hub.Key, text string, now time.Time) bool {
	if d.Auth.Type == plan.AuthNone || d.Auth.Type == "" {
		return true
	}
	stamp, sum, ok := strings.Cut(text, "-")
	end, err := strconv.ParseInt(stamp, 16, 64)
	if !ok || err != nil || now.Unix() > end {
		return false
	}
	for _, secret := range []string{d.Auth.Primary, d.Auth.Backup} {
		if secret != "" && hmac.Equal([]byte(sum), []byte(mac(secret, d.Hostname, key, end))) {
			return true
		}
	}
	return false
}
