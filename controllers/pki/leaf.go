package pki

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"fmt"
	"net"
	"net/url"
	"time"

	"github.com/millrace/millrace/internal/contract"
)

// Issued is a leaf with all that its user needs, in PEM.
type Issued struct {
	Cert     []byte
	Key      []byte
	Bundle   []byte    // the CAs that the other side's leaf may be signed by
	NotAfter time.Time // of the leaf
	RenewAt  time.Time // when two thirds of its life are over
}

// leaf is a certificate before it is encoded.
type leaf struct {
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
}

// renewAt is the moment when two thirds of a certificate's life are over.
func renewAt(cert *x509.Certificate) time.Time {
	life := cert.NotAfter.Sub(cert.NotBefore)
	return cert.NotBefore.Add(life * 2 / 3)
}

// serverLeaf signs a leaf for a TLS server with the given names, DNS names or IP addresses.
func (c *CA) serverLeaf(names []string, validity time.Duration, now time.Time) (leaf, error) {
	template := &x509.Certificate{
		Subject:     pkix.Name{CommonName: names[0]},
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	for _, name := range names {
		if ip := net.ParseIP(name); ip != nil {
			template.IPAddresses = append(template.IPAddresses, ip)
		} else {
			template.DNSNames = append(template.DNSNames, name)
		}
	}
	return c.issue(template, validity, now)
}

// identityLeaf signs a leaf that says by its URI who holds it, as client and as server (SPIFFE X.509-SVID: exactly one
// URI).
func (c *CA) identityLeaf(identity contract.Identity, validity time.Duration, now time.Time) (leaf, error) {
	uri, err := url.Parse(identity.URI())
	if err != nil {
		return leaf{}, fmt.Errorf("make a name for class %q and role %q: %w", identity.Class, identity.Role, err)
	}
	return c.issue(&x509.Certificate{
		URIs:        []*url.URL{uri},
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	}, validity, now)
}

func (c *CA) issue(template *x509.Certificate, validity time.Duration, now time.Time) (leaf, error) {
	serial, err := newSerial()
	if err != nil {
		return leaf{}, err
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return leaf{}, fmt.Errorf("make the key of a leaf: %w", err)
	}
	template.SerialNumber = serial
	template.NotBefore = now.Add(-backdate)
	template.NotAfter = now.Add(validity)
	// A leaf that outlives its CA would be refused while it looks good.
	if template.NotAfter.After(c.Cert.NotAfter) {
		template.NotAfter = c.Cert.NotAfter
	}
	template.KeyUsage = x509.KeyUsageDigitalSignature
	template.BasicConstraintsValid = true
	cert, err := c.sign(template, key.Public())
	if err != nil {
		return leaf{}, fmt.Errorf("sign a leaf: %w", err)
	}
	return leaf{cert, key}, nil
}
