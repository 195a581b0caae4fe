// Package flv is the viewer of FLV streams without a screen, many of them in one process: over HTTP and over WebSocket.
// It checks every tag that comes, and compares what its readers got with each other.
package flv

import (
	"bufio"
	"context"
	"crypto/rand"
	"crypto/tls"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/millrace/millrace/internal/play/join"
)

// The protocols, as reports name them.
const (
	HTTP      = "http-flv"
	WebSocket = "ws-flv"
)

// answerTime is how long a server may take to answer.
const answerTime = 10 * time.Second

// Target is a stream at a server.
type Target struct {
	url      *url.URL
	protocol string
	secure   bool
	connect  string
	insecure bool
}

// Is reports whether a play URL is for this package: http, https, ws or wss with a path that ends in .flv.
func Is(raw string) bool {
	u, err := url.Parse(raw)
	if err != nil || !strings.HasSuffix(u.Path, ".flv") {
		return false
	}
	return u.Scheme == "http" || u.Scheme == "https" || u.Scheme == "ws" || u.Scheme == "wss"
}

// Parse reads a play URL. Of the options, Connect and Insecure count.
func Parse(raw string, o join.Options) (*Target, error) {
	u, err := url.Parse(raw)
	if err != nil || u.Host == "" || !Is(raw) {
		return nil, errors.New("play URL: want http(s):// or ws(s)://host/app/stream.flv")
	}
	if o.Connect != "" {
		if _, _, err := net.SplitHostPort(o.Connect); err != nil {
			return nil, fmt.Errorf("address to connect to %q: want host:port", o.Connect)
		}
	}
	t := &Target{url: u, protocol: HTTP, connect: o.Connect, insecure: o.Insecure}
	t.secure = u.Scheme == "https" || u.Scheme == "wss"
	if strings.HasPrefix(u.Scheme, "ws") {
		t.protocol = WebSocket
	}
	return t, nil
}

// String names the target without its query, which may hold a signature.
func (t *Target) String() string {
	shown := *t.url
	shown.RawQuery, shown.Fragment, shown.User = "", "", nil
	return shown.String()
}

// Protocol is HTTP or WebSocket.
func (t *Target) Protocol() string { return t.protocol }

// dial connects; a slow reader gets a receive buffer so small that the server notices it.
func (t *Target) dial(ctx context.Context, slow bool) (net.Conn, error) {
	port := t.url.Port()
	if port == "" {
		port = "80"
		if t.secure {
			port = "443"
		}
	}
	conn, err := join.Dial(ctx, t.connect, net.JoinHostPort(t.url.Hostname(), port))
	if err != nil {
		return nil, fmt.Errorf("connecting: %w", err)
	}
	if c, ok := conn.(*net.TCPConn); ok && slow {
		if err := c.SetReadBuffer(slowBuffer); err != nil {
			_ = conn.Close()
			return nil, fmt.Errorf("making the receive buffer small: %w", err)
		}
	}
	if !t.secure {
		return conn, nil
	}
	secure := tls.Client(conn, &tls.Config{
		MinVersion: tls.VersionTLS12, ServerName: t.url.Hostname(), NextProtos: []string{"http/1.1"},
		InsecureSkipVerify: t.insecure, //nolint:gosec // only when the user asks for it by --insecure
	})
	if err := secure.HandshakeContext(ctx); err != nil {
		_ = conn.Close()
		return nil, fmt.Errorf("TLS handshake: %w", err)
	}
	return secure, nil
}

// ask sends the request and gives the bytes of FLV that answer it.
func (t *Target) ask(conn net.Conn) (io.Reader, error) {
	if err := conn.SetDeadline(time.Now().Add(answerTime)); err != nil {
		return nil, fmt.Errorf("asking: %w", err)
	}
	var b strings.Builder
	fmt.Fprintf(
		&b,
		"GET %s HTTP/1.1\r\nHost: %s\r\nUser-Agent: millrace-play\r\nAccept: */*\r\n",
		t.url.RequestURI(),
		t.url.Host,
	)
	if t.protocol == WebSocket {
		var key [16]byte
		_, _ = rand.Read(key[:]) // it does not fail
		fmt.Fprintf(&b, "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: %s\r\n",
			base64.StdEncoding.EncodeToString(key[:]))
	}
	b.WriteString("\r\n")
	if _, err := io.WriteString(conn, b.String()); err != nil {
		return nil, fmt.Errorf("asking: %w", err)
	}
	r := bufio.NewReaderSize(conn, 4096)
	//nolint:bodyclose // it ends with the connection, which the caller closes
	res, err := http.ReadResponse(r, &http.Request{Method: http.MethodGet})
	if err != nil {
		return nil, fmt.Errorf("waiting for the answer: %w", err)
	}
	want := http.StatusOK
	if t.protocol == WebSocket {
		want = http.StatusSwitchingProtocols
	}
	if res.StatusCode != want {
		said, _ := io.ReadAll(io.LimitReader(res.Body, 300))
		return nil, &AnswerError{
			Status: res.StatusCode,
			text:   strings.TrimSpace(res.Status + ": " + strings.TrimSpace(string(said))),
		}
	}
	if t.protocol == WebSocket {
		return newMessages(r, conn), nil
	}
	return res.Body, nil
}

// AnswerError is an answer without a stream.
type AnswerError struct {
	Status int
	text   string
}

func (e *AnswerError) Error() string { return "the server answers " + e.text }
