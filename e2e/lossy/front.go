package lossy

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"regexp"
	"strconv"
	"strings"
	"time"
)

// maxSDP bounds offers and answers.
const maxSDP = 256 << 10

// Front is an HTTP server in front of another: it passes everything on, and puts the proxy into the SDP answers.
type Front struct {
	Proxy  *Proxy
	server *http.Server
	listen net.Listener
}

// NewFront starts a front of the server at an address (host:port). offer may change SDP offers and may be nil. Close
// ends the front; the proxy is the caller's.
func NewFront(ctx context.Context, p *Proxy, address string, offer func(string) string) (*Front, error) {
	l, err := (&net.ListenConfig{}).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("opening the front's port: %w", err)
	}
	pass := &httputil.ReverseProxy{
		Rewrite: func(r *httputil.ProxyRequest) {
			r.SetURL(&url.URL{Scheme: "http", Host: address})
			r.Out.Host = r.In.Host // by which the stream is found
		},
		ModifyResponse: func(res *http.Response) error {
			if !strings.HasPrefix(res.Header.Get("Content-Type"), "application/sdp") {
				return nil
			}
			sdp, err := io.ReadAll(io.LimitReader(res.Body, maxSDP))
			if err != nil {
				return fmt.Errorf("reading an answer: %w", err)
			}
			setBody(res.Header, &res.Body, &res.ContentLength, p.Rewrite(string(sdp)))
			return nil
		},
	}
	handler := http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		if offer != nil && req.Header.Get("Content-Type") == "application/sdp" {
			sdp, err := io.ReadAll(io.LimitReader(req.Body, maxSDP))
			if err != nil {
				http.Error(w, err.Error(), http.StatusBadRequest)
				return
			}
			setBody(req.Header, &req.Body, &req.ContentLength, offer(string(sdp)))
		}
		pass.ServeHTTP(w, req)
	})
	f := &Front{Proxy: p, listen: l, server: &http.Server{Handler: handler, ReadHeaderTimeout: 10 * time.Second}}
	go func() { _ = f.server.Serve(l) }() // until Close
	return f, nil
}

// Addr is the front's host:port.
func (f *Front) Addr() string { return f.listen.Addr().String() }

// Close ends the front.
func (f *Front) Close() { _ = f.server.Close() }

func setBody(h http.Header, body *io.ReadCloser, length *int64, text string) {
	*body = io.NopCloser(bytes.NewReader([]byte(text)))
	*length = int64(len(text))
	h.Set("Content-Length", strconv.Itoa(len(text)))
}

// Rewrite puts the proxy's address in the place of the server's in all UDP candidates (RFC 8839, 5.1) of an answer. The
// first answer tells which server that is.
func (p *Proxy) Rewrite(sdp string) string {
	candidate := regexp.MustCompile(`(?i)(candidate:\S+ \d+ udp \d+) (127\.0\.0\.1) (\d+) `)
	return candidate.ReplaceAllStringFunc(sdp, func(line string) string {
		m := candidate.FindStringSubmatch(line)
		port, err := strconv.Atoi(m[3])
		if err != nil {
			return line
		}
		p.server.CompareAndSwap(nil, &net.UDPAddr{IP: net.ParseIP(m[2]), Port: port})
		return fmt.Sprintf("%s 127.0.0.1 %d ", m[1], p.Port())
	})
}

// WithoutRTX takes RTX (RFC 4588) out of an offer: repeats come as the packets were.
func WithoutRTX(sdp string) string {
	rtx := regexp.MustCompile(`(?m)^a=rtpmap:(\d+) rtx/90000\r?$`)
	for _, m := range rtx.FindAllStringSubmatch(sdp, -1) {
		pt := regexp.QuoteMeta(m[1])
		sdp = regexp.MustCompile(`(?m)^a=(rtpmap|fmtp|rtcp-fb):`+pt+` .*\r?\n`).ReplaceAllString(sdp, "")
		sdp = regexp.MustCompile(`(?m)^(m=video .*?) `+pt+`( .*|\r?)$`).ReplaceAllString(sdp, "$1$2")
	}
	return sdp
}
