// Package certificates chooses TLS certificates by the name that a client asks for.
package certificates

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"fmt"
	"math/big"
	"net"
	"strings"
	"sync"
	"time"

	"github.com/millrace/millrace/internal/contract/keypair"
	"github.com/millrace/millrace/internal/contract/plan"
)

// Options make a Store. The files are PEM and serve domains that have no certificate of their own.
type Options struct {
	CertFile, KeyFile string
	SelfSigned        bool // for domains that have none, when there are no files
}

// Store chooses a certificate by the name that a client asks for: the domain's own, else the one in files, else a
// self-signed one. It is safe for concurrent use.
type Store struct {
	current  *plan.Current
	fallback *tls.Certificate
	key      *ecdsa.PrivateKey // of self-signed certificates; nil when they are off

	parsed *keypair.Cache[*tls.Certificate]

	mu     sync.Mutex
	signed map[string]*tls.Certificate
}

const maxSigned = 1024 // self-signed certificates that are kept

var errNoCertificate = errors.New(
	"there is no certificate for this name; set tls.secretRef of the domain, or use --self-signed",
)

// New makes a Store for the domains of the Plan that holds.
func New(current *plan.Current, opt Options) (*Store, error) {
	c := &Store{current: current, parsed: keypair.NewCache(parse), signed: map[string]*tls.Certificate{}}
	if opt.CertFile != "" || opt.KeyFile != "" {
		cert, err := tls.LoadX509KeyPair(opt.CertFile, opt.KeyFile)
		if err != nil {
			return nil, fmt.Errorf("loading the certificate of domains that have none of their own: %w", err)
		}
		c.fallback = &cert
	}
	if opt.SelfSigned {
		key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
		if err != nil {
			return nil, fmt.Errorf("making a key for self-signed certificates: %w", err)
		}
		c.key = key
	}
	// What nobody asked for between two changes of the Plan is forgotten, and parsed again when somebody does.
	current.Subscribe(func(_, _ *plan.Index) { c.parsed.Sweep() })
	return c, nil
}

// Any reports whether there is any certificate to serve with.
func (c *Store) Any() bool {
	if c.fallback != nil || c.key != nil {
		return true
	}
	p := c.current.Load().Plan
	for i := range p.Play {
		if p.Play[i].TLS != nil {
			return true
		}
	}
	for i := range p.Push {
		if p.Push[i].TLS != nil {
			return true
		}
	}
	return false
}

// Get is for tls.Config.GetCertificate.
func (c *Store) Get(hello *tls.ClientHelloInfo) (*tls.Certificate, error) {
	name := strings.TrimSuffix(strings.ToLower(hello.ServerName), ".")
	if pair := c.ofDomain(name); pair != nil {
		return c.parsed.Get(pair.Cert, pair.Key)
	}
	switch {
	case c.fallback != nil:
		return c.fallback, nil
	case c.key != nil:
		return c.selfSigned(name)
	}
	return nil, errNoCertificate
}

func (c *Store) ofDomain(name string) *plan.KeyPair {
	x := c.current.Load()
	if d := x.Play(name); d != nil && d.TLS != nil {
		return d.TLS
	}
	if d := x.Push(name); d != nil {
		return d.TLS
	}
	return nil
}

func parse(chain, key []byte) (*tls.Certificate, error) {
	pair, err := keypair.Parse(chain, key)
	if err != nil {
		return nil, fmt.Errorf("reading the domain's certificate: %w", err)
	}
	return &pair.Certificate, nil
}

func (c *Store) selfSigned(name string) (*tls.Certificate, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if cert := c.signed[name]; cert != nil {
		return cert, nil
	}
	now := time.Now()
	template := &x509.Certificate{
		SerialNumber: big.NewInt(now.UnixNano()), Subject: pkix.Name{CommonName: "millrace"}, NotBefore: now.Add(-time.Hour),
		NotAfter: now.Add(
			365 * 24 * time.Hour,
		), KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1), net.IPv6loopback},
	}
	if name != "" {
		template.DNSNames = []string{name}
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, c.key.Public(), c.key)
	if err != nil {
		return nil, fmt.Errorf("making a self-signed certificate: %w", err)
	}
	cert := &tls.Certificate{Certificate: [][]byte{der}, PrivateKey: c.key}
	if len(c.signed) < maxSigned {
		c.signed[name] = cert
	}
	return cert, nil
}
