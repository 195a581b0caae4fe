package farewell

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"runtime"
	"syscall"
	"testing"
	"time"

	"github.com/go-logr/logr"
	"github.com/go-logr/logr/testr"

	"github.com/millrace/millrace/dataplane/pod"
	"github.com/millrace/millrace/dataplane/pod/alive"
	"github.com/millrace/millrace/dataplane/pod/delivery"
	"github.com/millrace/millrace/internal/contract"
	"github.com/millrace/millrace/internal/contract/bundle"
	"github.com/millrace/millrace/internal/contract/plan"
	"github.com/millrace/millrace/internal/testkit"
)

// remember leaves a Plan of one domain, with a certificate of its own, in a folder, as a relay does. It gives who
// trusts that.
func remember(t *testing.T, dir, host string) *x509.CertPool {
	t.Helper()
	source := httptest.NewTLSServer(http.NotFoundHandler()) // its certificate is good for example.com
	source.Close()
	cert := source.TLS.Certificates[0]
	key, err := x509.MarshalPKCS8PrivateKey(cert.PrivateKey)
	if err != nil {
		t.Fatal(err)
	}
	p := &plan.Plan{Class: "default", Play: []plan.PlayDomain{{
		Hostname: host, Type: plan.RTS, Role: plan.Main, Space: host, Auth: plan.Auth{Type: plan.AuthA,
			Primary: "examplePrimary01"},
		TLS: &plan.KeyPair{
			Cert: pem.EncodeToMemory(
				&pem.Block{Type: "CERTIFICATE", Bytes: cert.Certificate[0]},
			), Key: pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: key}),
		},
	}}}
	secrets, _, err := bundle.Encode(p, bundle.Pool{Role: contract.Relay, Region: "local"})
	if err != nil {
		t.Fatal(err)
	}
	r, err := delivery.New(
		delivery.Options{
			Current:  plan.NewCurrent(),
			Class:    "default",
			Role:     contract.Relay,
			StateDir: dir,
			Log:      logr.Discard(),
		},
	)
	if err != nil {
		t.Fatal(err)
	}
	if err := r.Offer(delivery.API, secrets); err != nil {
		t.Fatal(err)
	}
	trust := x509.NewCertPool()
	trust.AddCert(source.Certificate())
	return trust
}

// opened returns when somebody listens on a port.
func (b *beside) opened(t *testing.T, at string) {
	t.Helper()
	for b.active.Load() {
		c, err := net.Dial("tcp", at)
		if err == nil {
			_ = c.Close()
			return
		}
		if !errors.Is(err, syscall.ECONNREFUSED) {
			t.Fatal(err)
		}
	}
	t.Fatalf("nobody listens on %s", at)
}

// By HTTPS it answers with the domain's certificate, which it has from what the relay remembered. When the next relay
// comes to its ports, who is being answered gets the answer, and both ports are free at once.
func TestADetourByHTTPS(t *testing.T) {
	const host = "example.com"
	dir := t.TempDir()
	trust := remember(t, dir, host)
	ports := testkit.FreePorts(t, 2)
	plain, secure := ports[0], ports[1]
	b := &beside{
		Options: Options{
			StateDir:  dir,
			Class:     "default",
			Address:   "127.0.0.1",
			HTTPPort:  plain,
			HTTPSPort: secure,
			Log:       testr.New(t),
		},
	}
	t.Cleanup(b.detours.Wait)
	b.gone(t.Context(), false)
	at := fmt.Sprintf("127.0.0.1:%d", secure)
	b.opened(t, at)
	b.opened(t, fmt.Sprintf("127.0.0.1:%d", plain))
	client := &http.Client{
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		Transport: &http.Transport{
			TLSClientConfig:   &tls.Config{RootCAs: trust, ServerName: host, MinVersion: tls.VersionTLS12},
			ForceAttemptHTTP2: true,
		},
	}
	asking, content := io.Pipe() // the request is there until its content ends
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "https://"+at+"/live/one", asking)
	if err != nil {
		t.Fatal(err)
	}
	req.Host = host
	got := make(chan *http.Response, 1)
	go func() {
		res, err := client.Do(req)
		if err != nil {
			t.Error(err)
		}
		got <- res
	}()
	if _, err := content.Write([]byte("v=0")); err != nil { // it is read by the connection, which has the certificate then
		t.Fatal(err)
	}
	held, err := alive.Hold(dir, alive.Ports)
	if err != nil {
		t.Fatal(err)
	}
	defer held.Close()
	for _, port := range []int{plain, secure} {
		next, err := pod.Listen(fmt.Sprintf("127.0.0.1:%d", port))
		if err != nil {
			t.Fatalf("the port is not free while one is answered: %v", err)
		}
		defer next.Close()
	}
	// the next end of a relay is answered, whoever is still here
	for until := time.Now().Add(time.Minute); b.active.Load(); runtime.Gosched() {
		if time.Now().After(until) {
			t.Fatal("the turn does not end")
		}
	}
	_ = content.Close()
	res := <-got
	if res == nil {
		t.Fatal("no answer")
	}
	_ = res.Body.Close() // it is not read
	if res.StatusCode != http.StatusTemporaryRedirect || res.Header.Get("Location") != "/live/one" ||
		res.ProtoMajor != 1 ||
		!res.Close {
		t.Errorf("an offer is answered %s %s, %v, connection closed %v", res.Proto, res.Status, res.Header, res.Close)
	}
	b.detours.Wait()
}

// The kernel takes the locks of a process that was killed one after the other. The one on its ports, when it is the
// last, is not the next relay's.
func TestAPortThatIsGivenBackLast(t *testing.T) {
	dir := t.TempDir()
	port := testkit.FreePorts(t, 1)[0]
	dying, err := alive.Hold(dir, alive.Ports)
	if err != nil {
		t.Fatal(err)
	}
	time.AfterFunc(50*time.Millisecond, func() { _ = dying.Close() })
	ctx, stop := context.WithCancel(t.Context())
	b := &beside{
		Options: Options{
			StateDir:  dir,
			Class:     "default",
			Address:   "127.0.0.1",
			HTTPPort:  port,
			HTTPSPort: -1,
			Log:       logr.Discard(),
		},
	}
	t.Cleanup(b.detours.Wait)
	b.gone(ctx, false)
	client := &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	for n := 0; n < 2; {
		req, err := http.NewRequestWithContext(
			t.Context(),
			http.MethodPost,
			fmt.Sprintf("http://127.0.0.1:%d/live/one", port),
			http.NoBody,
		)
		if err != nil {
			t.Fatal(err)
		}
		res, err := client.Do(req)
		if n == 0 && errors.Is(err, syscall.ECONNREFUSED) && b.active.Load() {
			continue // it is about to listen
		}
		if err != nil {
			t.Fatalf("answer %d: %v", n, err)
		}
		_ = res.Body.Close() // it is not read
		n++
	}
	stop()
	b.detours.Wait()
}
