package pki

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"sync/atomic"
	"time"
)

// Serving holds the certificate of a TLS server in memory: there is no volume to wait for and no file to protect. It is
// signed anew when two thirds of its life are over, and when another CA signs.
type Serving struct {
	authority *Authority
	names     []string
	changes   <-chan struct{}
	leaf      atomic.Pointer[tls.Certificate]
}

// NewServing makes a Serving for DNS names and IP addresses.
func NewServing(authority *Authority, names ...string) *Serving {
	return &Serving{authority: authority, names: names, changes: authority.Changes()}
}

// NeedLeaderElection says that every replica runs it.
func (s *Serving) NeedLeaderElection() bool { return false }

// Start renews the certificate until the context ends.
func (s *Serving) Start(ctx context.Context) error {
	for {
		wait := 10 * time.Second
		if err := s.Renew(); err != nil {
			s.authority.opt.Log.Error(err, "Signing the certificate of the webhooks failed, the one in use stays")
		} else if until := renewAt(s.leaf.Load().Leaf).Sub(s.authority.opt.Now()); until > wait {
			wait = until
		}
		timer := time.NewTimer(wait)
		select {
		case <-ctx.Done():
			timer.Stop()
			return nil
		case <-s.changes:
		case <-timer.C:
		}
		timer.Stop()
	}
}

// Renew signs a new certificate when one is due.
func (s *Serving) Renew() error {
	ca, err := s.authority.current()
	if err != nil {
		return err
	}
	now := s.authority.opt.Now()
	if held := s.leaf.Load(); held != nil && now.Before(renewAt(held.Leaf)) &&
		held.Leaf.CheckSignatureFrom(ca.Cert) == nil {
		return nil
	}
	l, err := ca.serverLeaf(s.names, s.authority.opt.Policy.Leaf, now)
	if err != nil {
		return fmt.Errorf("issue a certificate for %s: %w", s.names[0], err)
	}
	s.leaf.Store(&tls.Certificate{Certificate: [][]byte{l.cert.Raw}, PrivateKey: l.key, Leaf: l.cert})
	return nil
}

// GetCertificate is for tls.Config.
func (s *Serving) GetCertificate(*tls.ClientHelloInfo) (*tls.Certificate, error) {
	held := s.leaf.Load()
	if held == nil {
		return nil, errors.New("the certificate of the webhooks is not signed yet")
	}
	return held, nil
}

// Trusts reports whether clients that know a bundle (PEM) trust the certificate that is served.
func Trusts(bundle []byte, get func(*tls.ClientHelloInfo) (*tls.Certificate, error), name string, now time.Time) error {
	held, err := get(&tls.ClientHelloInfo{ServerName: name})
	if err != nil {
		return err
	}
	cert := held.Leaf
	if cert == nil {
		if cert, err = x509.ParseCertificate(held.Certificate[0]); err != nil {
			return fmt.Errorf("read the certificate that is served: %w", err)
		}
	}
	roots, intermediates := x509.NewCertPool(), x509.NewCertPool()
	if !roots.AppendCertsFromPEM(bundle) {
		return errors.New("the bundle holds no certificate")
	}
	for _, der := range held.Certificate[1:] {
		if more, err := x509.ParseCertificate(der); err == nil {
			intermediates.AddCert(more)
		}
	}
	_, err = cert.Verify(x509.VerifyOptions{Roots: roots, Intermediates: intermediates, DNSName: name, CurrentTime: now})
	return err
}
