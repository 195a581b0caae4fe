// Package testca is a certificate authority for tests: it issues identities as the operator's does.
package testca

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"net/url"
	"os"
	"path/filepath"
	"time"

	"github.com/millrace/millrace/internal/contract"
	"github.com/millrace/millrace/internal/contract/identity"
)

// Authority issues certificates.
type Authority struct {
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
	PEM  []byte // its own certificate
}

// New makes an authority.
func New() (*Authority, error) {
	template := &x509.Certificate{
		SerialNumber: big.NewInt(
			time.Now().UnixNano(),
		), Subject: pkix.Name{CommonName: "test"}, IsCA: true, BasicConstraintsValid: true,
		KeyUsage: x509.KeyUsageCertSign, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(24 * time.Hour),
	}
	a := &Authority{}
	var err error
	a.cert, a.key, err = sign(template, template, nil)
	if err != nil {
		return nil, err
	}
	a.PEM = block("CERTIFICATE", a.cert.Raw)
	return a, nil
}

func sign(template, parent *x509.Certificate, by *ecdsa.PrivateKey) (*x509.Certificate, *ecdsa.PrivateKey, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, nil, fmt.Errorf("making a key: %w", err)
	}
	if by == nil {
		by = key
	}
	der, err := x509.CreateCertificate(rand.Reader, template, parent, &key.PublicKey, by)
	if err != nil {
		return nil, nil, fmt.Errorf("making a certificate: %w", err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		return nil, nil, fmt.Errorf("reading a certificate: %w", err)
	}
	return cert, key, nil
}

func block(kind string, der []byte) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der})
}

// Issue returns a certificate with its key, both PEM, valid for a time.
func (a *Authority) Issue(id contract.Identity, valid time.Duration) (cert, key []byte, err error) {
	u, err := url.Parse(id.URI())
	if err != nil {
		return nil, nil, fmt.Errorf("naming the certificate: %w", err)
	}
	return a.leaf(&x509.Certificate{
		URIs: []*url.URL{
			u,
		}, NotAfter: time.Now().Add(valid), ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth,
			x509.ExtKeyUsageClientAuth},
	})
}

// ForHosts returns a certificate of servers with its key, both PEM.
func (a *Authority) ForHosts(names ...string) (cert, key []byte, err error) {
	return a.leaf(
		&x509.Certificate{
			DNSNames:    names,
			NotAfter:    time.Now().Add(24 * time.Hour),
			ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
		},
	)
}

func (a *Authority) leaf(template *x509.Certificate) (cert, key []byte, err error) {
	template.SerialNumber, template.KeyUsage, template.NotBefore = big.NewInt(
		time.Now().UnixNano(),
	), x509.KeyUsageDigitalSignature, time.Now().
		Add(-time.Hour)
	leaf, private, err := sign(template, a.cert, a.key)
	if err != nil {
		return nil, nil, err
	}
	der, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		return nil, nil, fmt.Errorf("writing a key: %w", err)
	}
	return block("CERTIFICATE", leaf.Raw), block("PRIVATE KEY", der), nil
}

// Write writes the files of an identity into a folder, with the certificates of these authorities to trust.
func (a *Authority) Write(dir string, id contract.Identity, trust ...*Authority) error {
	cert, key, err := a.Issue(id, time.Hour)
	if err != nil {
		return err
	}
	var authorities []byte
	for _, one := range trust {
		authorities = append(authorities, one.PEM...)
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return fmt.Errorf("writing an identity: %w", err)
	}
	for name, content := range map[string][]byte{identity.FileCert: cert, identity.FileKey: key,
		identity.FileCA: authorities} {
		next := filepath.Join(dir, "."+name)
		if err := os.WriteFile(next, content, 0o600); err != nil {
			return fmt.Errorf("writing an identity: %w", err)
		}
		if err := os.Rename(next, filepath.Join(dir, name)); err != nil {
			return fmt.Errorf("writing an identity: %w", err)
		}
	}
	return nil
}
