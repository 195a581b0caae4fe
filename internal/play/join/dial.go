package join

import (
	"context"
	"crypto/tls"
	"net"
	"net/http"
	"strings"
	"time"
)

// httpClient makes a client with connections of its own, as every real viewer has.
func (t *Target) httpClient() *http.Client {
	proxy := http.ProxyFromEnvironment
	if t.connect != "" || local(t.URL.Hostname()) {
		proxy = nil
	}
	return &http.Client{Transport: &http.Transport{
		Proxy:                 proxy,
		DialContext:           t.dial,
		ForceAttemptHTTP2:     true,
		TLSHandshakeTimeout:   5 * time.Second,
		ResponseHeaderTimeout: requestTimeout,
		TLSClientConfig: &tls.Config{
			MinVersion:         tls.VersionTLS12,
			InsecureSkipVerify: t.insecure, //nolint:gosec // only when the user asks for it by --insecure
		},
	}}
}

func (t *Target) dial(ctx context.Context, _, address string) (net.Conn, error) {
	return Dial(ctx, t.connect, address)
}

// Dial connects to a host:port, or to another one instead (Options.Connect); names below localhost are this machine.
func Dial(ctx context.Context, instead, address string) (net.Conn, error) {
	if instead != "" {
		address = instead
	}
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		return nil, err
	}
	if local(host) {
		address = net.JoinHostPort("127.0.0.1", port)
	}
	dialer := &net.Dialer{Timeout: 5 * time.Second}
	return dialer.DialContext(ctx, "tcp", address)
}

// local tells names below localhost: they are this machine (RFC 6761, section 6.3), but not every resolver knows.
func local(host string) bool {
	return host == "localhost" || strings.HasSuffix(host, ".localhost")
}
