// Package identity is mutual TLS between pods: each shows a certificate of the operator's authority, whose URI SAN says
// what it is, and checks the other's. Host names and addresses say nothing. Certificates are read again when their
// files change; connections that stand go on.
package identity

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync/atomic"
	"time"

	"github.com/go-logr/logr"

	"github.com/millrace/millrace/internal/contract"
)

// Files of a folder with an identity, as a Secret of type kubernetes.io/tls has them. FileCA may hold several
// certificates.
const (
	FileCert = "tls.crt"
	FileKey  = "tls.key"
	FileCA   = "ca.crt"
)

// maxFile bounds a file, in bytes.
const maxFile = 256 << 10

// poll is how often the files are looked at.
const poll = 2 * time.Second

var (
	errNoPeer    = errors.New("the other side shows no certificate")
	errNoURI     = errors.New("the certificate names no pod")
	errForbidden = errors.New("the certificate is for a pod that has no business here")
)

// Allow reports whether a peer may connect, or be connected to.
type Allow func(contract.Identity) bool

// Identity is what a pod shows and whom it trusts. It is safe for concurrent use.
type Identity struct {
	dir   string
	state atomic.Pointer[state]
}

type state struct {
	cert  *tls.Certificate
	roots *x509.CertPool
	self  contract.Identity
	files [3]string
}

// Load reads the identity from a folder.
func Load(dir string) (*Identity, error) {
	i := &Identity{dir: dir}
	st, err := read(dir)
	if err != nil {
		return nil, err
	}
	i.state.Store(st)
	return i, nil
}

// New makes an identity of what is in memory; Set changes it.
func New(cert, key, authorities []byte) (*Identity, error) {
	i := &Identity{}
	if err := i.Set(cert, key, authorities); err != nil {
		return nil, err
	}
	return i, nil
}

// Set changes what is shown, and who is trusted, from the next connection on.
func (i *Identity) Set(cert, key, authorities []byte) error {
	st, err := parse(cert, key, authorities)
	if err != nil {
		return err
	}
	i.state.Store(st)
	return nil
}

func read(dir string) (*state, error) {
	var content [3][]byte
	for n, name := range []string{FileCert, FileKey, FileCA} {
		path := filepath.Join(dir, name)
		info, err := os.Stat(path)
		if err != nil {
			return nil, fmt.Errorf("reading the identity: %w", err)
		}
		if info.Size() > maxFile {
			return nil, fmt.Errorf("reading the identity: %s has more than %d bytes", path, maxFile)
		}
		if content[n], err = os.ReadFile(path); err != nil {
			return nil, fmt.Errorf("reading the identity: %w", err)
		}
	}
	st, err := parse(content[0], content[1], content[2])
	if err != nil {
		return nil, fmt.Errorf("reading the identity in %s: %w", dir, err)
	}
	return st, nil
}

func parse(cert, key, authorities []byte) (*state, error) {
	pair, err := tls.X509KeyPair(cert, key)
	if err != nil {
		return nil, fmt.Errorf("the certificate and its key: %w", err)
	}
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(authorities) {
		return nil, fmt.Errorf("%s has no certificate", FileCA)
	}
	self, err := named(pair.Leaf)
	if err != nil {
		return nil, err
	}
	return &state{
		cert:  &pair,
		roots: roots,
		self:  self,
		files: [3]string{string(cert), string(key), string(authorities)},
	}, nil
}

// named reads whom a certificate was issued to.
func named(cert *x509.Certificate) (contract.Identity, error) {
	for _, u := range cert.URIs {
		if id, ok := contract.ParseIdentity(u); ok {
			return id, nil
		}
	}
	return contract.Identity{}, errNoURI
}

// Self is what the certificate says this process is.
func (i *Identity) Self() contract.Identity { return i.state.Load().self }

// Expires is when the certificate ends.
func (i *Identity) Expires() time.Time { return i.state.Load().cert.Leaf.NotAfter }

// Watch reads the files again when they change, until the context ends. Files that cannot be used are said once, and
// what was good stays.
func (i *Identity) Watch(ctx context.Context, log logr.Logger) {
	tick := time.NewTicker(poll)
	defer tick.Stop()
	said := ""
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		st, err := read(i.dir)
		switch {
		case err != nil:
			if said != err.Error() {
				said = err.Error()
				log.Error(err, "Kept the identity that was loaded before")
			}
		case st.files != i.state.Load().files:
			said = ""
			i.state.Store(st)
			log.Info("Loaded a new identity", "uri", st.self.URI(), "expires", st.cert.Leaf.NotAfter)
		}
	}
}

// Server is the TLS configuration of what this pod offers to others.
func (i *Identity) Server(allow Allow) *tls.Config {
	return &tls.Config{
		MinVersion:             tls.VersionTLS13,
		ClientAuth:             tls.RequireAnyClientCert, // verified below, against the authorities of now
		SessionTicketsDisabled: true,
		GetCertificate:         func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return i.state.Load().cert, nil },
		VerifyConnection:       func(s tls.ConnectionState) error { return i.verify(s, x509.ExtKeyUsageClientAuth, allow) },
	}
}

// Client is the TLS configuration with which this pod goes to others. They are known by their URI SAN, not by a host
// name.
func (i *Identity) Client(allow Allow) *tls.Config {
	return &tls.Config{
		MinVersion: tls.VersionTLS13,
		//nolint:gosec // VerifyConnection verifies the chain and the URI; only the host name is passed over
		InsecureSkipVerify:   true,
		GetClientCertificate: func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return i.state.Load().cert, nil },
		VerifyConnection:     func(s tls.ConnectionState) error { return i.verify(s, x509.ExtKeyUsageServerAuth, allow) },
	}
}

func (i *Identity) verify(s tls.ConnectionState, usage x509.ExtKeyUsage, allow Allow) error {
	if len(s.PeerCertificates) == 0 {
		return errNoPeer
	}
	leaf := s.PeerCertificates[0]
	between := x509.NewCertPool()
	for _, c := range s.PeerCertificates[1:] {
		between.AddCert(c)
	}
	if _, err := leaf.Verify(x509.VerifyOptions{
		Roots: i.state.Load().roots, Intermediates: between, KeyUsages: []x509.ExtKeyUsage{usage},
	}); err != nil {
		return fmt.Errorf("verifying the other side's certificate: %w", err)
	}
	id, err := named(leaf)
	if err != nil {
		return err
	}
	if !allow(id) {
		return fmt.Errorf("%w: %s", errForbidden, id.URI())
	}
	return nil
}

// Peer is whom the other side of a connection is, which was verified before.
func Peer(s *tls.ConnectionState) (contract.Identity, bool) {
	if s == nil || len(s.PeerCertificates) == 0 {
		return contract.Identity{}, false
	}
	id, err := named(s.PeerCertificates[0])
	return id, err == nil
}
