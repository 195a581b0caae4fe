package identity_test

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"testing"
	"time"

	"github.com/go-logr/logr"

	"github.com/millrace/millrace/internal/contract"
	"github.com/millrace/millrace/internal/contract/identity"
	"github.com/millrace/millrace/internal/testkit"
	"github.com/millrace/millrace/internal/testkit/testca"
)

func authority(t *testing.T) *testca.Authority {
	t.Helper()
	a, err := testca.New()
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func load(
	t *testing.T,
	by *testca.Authority,
	id contract.Identity,
	trust ...*testca.Authority,
) (*identity.Identity, string) {
	t.Helper()
	dir := t.TempDir()
	if err := by.Write(dir, id, trust...); err != nil {
		t.Fatal(err)
	}
	i, err := identity.Load(dir)
	if err != nil {
		t.Fatal(err)
	}
	return i, dir
}

// echo is a server that says back what it hears.
func echo(t *testing.T, conf *tls.Config) string {
	t.Helper()
	l, err := tls.Listen("tcp", "127.0.0.1:0", conf)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer c.Close()
				_, _ = io.Copy(c, c) // until the client goes
			}()
		}
	}()
	return l.Addr().String()
}

// say sends a word and waits for it to come back: what TLS 1.3 refuses is told with the first read.
func say(c net.Conn) error {
	_ = c.SetDeadline(time.Now().Add(testkit.Patience())) // never fails on an open connection
	if _, err := c.Write([]byte("word")); err != nil {
		return err
	}
	_, err := io.ReadFull(c, make([]byte, 4))
	return err
}

func dial(address string, conf *tls.Config) (net.Conn, error) {
	c, err := tls.DialWithDialer(&net.Dialer{Timeout: testkit.Patience()}, "tcp", address, conf)
	if err != nil {
		return nil, err
	}
	return c, say(c)
}

func pod(role contract.Role) contract.Identity {
	return contract.Identity{Class: "default", Role: role}
}

func TestOnlyMembersOfTheAuthorityAreLetIn(t *testing.T) {
	ours, foreign := authority(t), authority(t)
	server, _ := load(t, ours, pod(contract.Ingest), ours)
	address := echo(t, server.Server(identity.Pods))
	for name, c := range map[string]struct {
		by   *testca.Authority
		id   contract.Identity
		lets bool
	}{
		"relay":                {ours, pod(contract.Relay), true},
		"pod of another class": {ours, contract.Identity{Class: "other", Role: contract.Edge}, true},
		"operator":             {ours, contract.OperatorIdentity(), false},
		"role that is none":    {ours, pod("thief"), false},
		"foreign authority":    {foreign, pod(contract.Relay), false},
	} {
		client, _ := load(t, c.by, c.id, ours)
		if _, err := dial(address, client.Client(identity.Role(contract.Ingest))); (err == nil) != c.lets {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := dial(address, &tls.Config{InsecureSkipVerify: true}); err == nil {
		t.Error("a client without a certificate is let in")
	}
	// Clients look as closely.
	client, _ := load(t, ours, pod(contract.Relay), ours)
	for name, c := range map[string]*testca.Authority{"another role": ours, "foreign authority": foreign} {
		thief, _ := load(t, c, pod(contract.Edge), ours)
		if _, err := dial(echo(t, thief.Server(identity.Pods)), client.Client(identity.Role(contract.Ingest))); err == nil {
			t.Errorf("a server of %s is taken", name)
		}
	}
}

func TestRotationCutsNothing(t *testing.T) {
	old, next := authority(t), authority(t)
	server, dir := load(t, old, pod(contract.Ingest), old)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() {
		defer close(done)
		server.Watch(ctx, logr.Discard())
	}()
	t.Cleanup(func() { cancel(); <-done })
	address := echo(t, server.Server(identity.Pods))

	before, _ := load(t, old, pod(contract.Relay), old)
	conn, err := dial(address, before.Client(identity.Pods))
	if err != nil {
		t.Fatal(err)
	}
	// Both authorities are trusted first, then certificates come from the new one, then the old one goes.
	after, _ := load(t, next, pod(contract.Relay), next)
	for n, step := range []func() error{
		func() error { return old.Write(dir, pod(contract.Ingest), old, next) },
		func() error { return next.Write(dir, pod(contract.Ingest), old, next) },
		func() error { return next.Write(dir, pod(contract.Ingest), next) },
	} {
		if err := step(); err != nil {
			t.Fatal(err)
		}
		testkit.Eventually(t, "the new certificate", func() bool {
			_, byOld := dial(address, before.Client(identity.Pods))
			_, byNext := dial(address, after.Client(identity.Pods))
			switch n {
			case 0: // the server still shows the old authority's, which the new client does not trust
				return byOld == nil && byNext != nil
			default:
				return byOld != nil && byNext == nil
			}
		})
		if err := say(conn); err != nil {
			t.Fatalf("step %d cut a connection: %v", n, err)
		}
	}
	// Files that cannot be used change nothing.
	if err := next.Write(dir, contract.Identity{Class: "default", Role: contract.Ingest}); err != nil { // trusts nobody
		t.Fatal(err)
	}
	if _, err := identity.Load(dir); err == nil {
		t.Error("an identity that trusts nobody is loaded")
	}
	if _, err := dial(address, after.Client(identity.Pods)); err != nil {
		t.Errorf("bad files are taken: %v", err)
	}
}

func TestExpiredCertificatesAreRefused(t *testing.T) {
	ours := authority(t)
	server, _ := load(t, ours, pod(contract.Ingest), ours)
	address := echo(t, server.Server(identity.Pods))
	cert, key, err := ours.Issue(pod(contract.Relay), -time.Minute)
	if err != nil {
		t.Fatal(err)
	}
	late, err := identity.New(cert, key, ours.PEM)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := dial(address, late.Client(identity.Pods)); err == nil {
		t.Error("an expired certificate is taken")
	}
	if _, err := identity.Load(t.TempDir()); err == nil || errors.Is(err, io.EOF) {
		t.Errorf("an empty folder: %v", err)
	}
}
