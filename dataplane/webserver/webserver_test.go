package webserver_test

import (
	"crypto/tls"
	"errors"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"

	"github.com/go-logr/logr/funcr"

	"github.com/millrace/millrace/dataplane/webserver"
	"github.com/millrace/millrace/internal/testkit"
)

// lines keeps what is logged.
type lines struct {
	mu  sync.Mutex
	all []string
}

func (l *lines) add(_, text string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.all = append(l.all, text)
}

func (l *lines) count(part string) (n int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, line := range l.all {
		if strings.Contains(line, part) {
			n++
		}
	}
	return n
}

// A stranger whose TLS handshakes fail, one after the other, writes a few lines into the log and no more; a panic of
// ours is always said.
func TestStrangersDoNotFillTheLog(t *testing.T) {
	var seen lines
	logger := funcr.New(seen.add, funcr.Options{Verbosity: 1})
	panics := http.HandlerFunc(func(http.ResponseWriter, *http.Request) { panic("ours") })
	plain, secure := listen(t), listen(t)
	none := func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return nil, errors.New("no certificate") }
	for _, one := range []func() error{
		func() error { return webserver.Public(panics, none, logger).ServeTLS(secure, "", "") },
		func() error { return webserver.New(panics, nil, logger).Serve(plain) },
	} {
		go func() { _ = one() }() // until its listener closes
	}
	const tries = 200
	for range tries {
		conn, err := net.Dial("tcp", secure.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		if _, err := conn.Write([]byte("GET / HTTP/1.1\r\n\r\n")); err != nil {
			t.Fatal(err)
		}
		one := make([]byte, 64)
		_, _ = conn.Read(one) // the server has failed by then
		_ = conn.Close()
	}
	testkit.Eventually(t, "a line of the failed handshakes", func() bool { return seen.count("A connection failed") > 0 })
	if n := seen.count("A connection failed"); n > tries/10 {
		t.Errorf("%d failed handshakes made %d lines", tries, n)
	}
	for range 20 {
		res, err := http.Get("http://" + plain.Addr().String())
		if err == nil {
			_ = res.Body.Close()
			t.Fatal("a handler that panics has answered")
		}
	}
	testkit.Eventually(t, "a line for each panic", func() bool { return seen.count("A request ended in a panic") == 20 })
}

func listen(t *testing.T) net.Listener {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	return l
}
