// Package webserver makes the HTTP servers of the data plane: the same bounds for strangers and for pods, and what
// net/http has to say goes to the log of the process, a few lines at a time.
package webserver

import (
	"crypto/tls"
	"log"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/go-logr/logr"
	"golang.org/x/time/rate"
)

// The bounds of every server.
const (
	headerTimeout = 5 * time.Second
	idleTimeout   = time.Minute
	maxHeader     = 16 << 10 // bytes
)

// The log of a server: what strangers cause must not fill it.
const (
	linesEvery  = 10 * time.Second // one line each, after
	linesAtOnce = 5
)

// GetCertificate chooses the certificate of a connection, as tls.Config does.
type GetCertificate = func(*tls.ClientHelloInfo) (*tls.Certificate, error)

// New makes a server for pods and the operator, whose answers may take as long as they like. Nil certificates mean that
// it is not asked by TLS, or by a listener that knows it.
func New(h http.Handler, certificates GetCertificate, logger logr.Logger) *http.Server {
	s := &http.Server{
		Handler: h, ReadHeaderTimeout: headerTimeout, IdleTimeout: idleTimeout, MaxHeaderBytes: maxHeader,
		ErrorLog: log.New(&errorLog{log: logger, limit: rate.NewLimiter(rate.Every(linesEvery), linesAtOnce)}, "", 0),
	}
	if certificates != nil {
		s.TLSConfig = &tls.Config{MinVersion: tls.VersionTLS12, GetCertificate: certificates}
	}
	return s
}

// Public makes a server that strangers ask: a request and its answer have a time each. Handlers of long answers put
// their own.
func Public(h http.Handler, certificates GetCertificate, logger logr.Logger) *http.Server {
	s := New(h, certificates, logger)
	s.ReadTimeout, s.WriteTimeout = 15*time.Second, 30*time.Second
	return s
}

// errorLog is what net/http writes its errors to: a line for each TLS handshake that fails, for example, which any
// stranger can cause at will.
type errorLog struct {
	log   logr.Logger
	limit *rate.Limiter

	mu      sync.Mutex
	dropped int
}

// Write takes one line.
func (e *errorLog) Write(line []byte) (int, error) {
	text := strings.TrimSpace(string(line))
	if strings.HasPrefix(text, "http: panic serving") { // ours, not the client's
		e.log.Error(nil, "A request ended in a panic", "Message", text)
		return len(line), nil
	}
	if !e.limit.Allow() {
		e.mu.Lock()
		e.dropped++
		e.mu.Unlock()
		return len(line), nil
	}
	e.mu.Lock()
	dropped := e.dropped
	e.dropped = 0
	e.mu.Unlock()
	e.log.V(1).Info("A connection failed", "Message", text, "NotShown", dropped)
	return len(line), nil
}
