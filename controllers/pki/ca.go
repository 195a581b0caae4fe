// Package pki is the operator's own certificate authority: a CA in a Secret, leaves that are signed by it, and a
// rotation during which the bundle holds the old and the new CA, so that nobody meets a certificate whose CA he does
// not know yet. It serves two purposes that do not trust each other: the webhooks (a leaf in memory) and the pods (a
// leaf for each pool).
package pki

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"time"
)

// The types of PEM blocks.
const (
	pemCertificate = "CERTIFICATE"
	pemKey         = "EC PRIVATE KEY"
)

// backdate is how far a certificate is good before it was made: clocks of nodes differ.
const backdate = 5 * time.Minute

// CA is a certificate authority: ECDSA on P-256, self-signed.
type CA struct {
	Cert *x509.Certificate
	Key  *ecdsa.PrivateKey
}

// newCA makes a CA that is good from now on.
func newCA(name string, validity time.Duration, now time.Time) (*CA, error) {
	serial, err := newSerial()
	if err != nil {
		return nil, err
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("make the key of CA %s: %w", name, err)
	}
	template := &x509.Certificate{
		SerialNumber: serial,
		// The date makes the subject another one for each CA: bundles are read by people too.
		Subject: pkix.Name{
			CommonName:   name + " " + now.UTC().Format("2006-01-02T15:04:05Z"),
			Organization: []string{"Millrace"},
		},
		NotBefore:             now.Add(-backdate),
		NotAfter:              now.Add(validity),
		IsCA:                  true,
		BasicConstraintsValid: true,
		MaxPathLenZero:        true,
		KeyUsage:              x509.KeyUsageCertSign | x509.KeyUsageCRLSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		return nil, fmt.Errorf("sign CA %s: %w", name, err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		return nil, fmt.Errorf("read back CA %s: %w", name, err)
	}
	return &CA{cert, key}, nil
}

// sign makes a leaf for a template that says who it is for.
func (c *CA) sign(template *x509.Certificate, public crypto.PublicKey) (*x509.Certificate, error) {
	der, err := x509.CreateCertificate(rand.Reader, template, c.Cert, public, c.Key)
	if err != nil {
		return nil, err
	}
	return x509.ParseCertificate(der)
}

// newSerial makes a random number of 127 bits (RFC 5280, 4.1.2.2: positive, at most 20 bytes).
func newSerial() (*big.Int, error) {
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 127))
	if err != nil {
		return nil, fmt.Errorf("make a serial number: %w", err)
	}
	return serial.Add(serial, big.NewInt(1)), nil
}

// parseCA reads a CA from PEM.
func parseCA(certPEM, keyPEM []byte) (*CA, error) {
	certs, err := ParseCertificates(certPEM)
	if err != nil {
		return nil, err
	}
	if len(certs) != 1 || !certs[0].IsCA {
		return nil, errors.New("want one certificate, of a CA")
	}
	block, _ := pem.Decode(keyPEM)
	if block == nil {
		return nil, errors.New("there is no key in PEM")
	}
	// The errors of crypto/x509 speak of formats, never of the key itself.
	key, err := x509.ParseECPrivateKey(block.Bytes)
	if err != nil {
		return nil, fmt.Errorf("read the key: %w", err)
	}
	if !key.PublicKey.Equal(certs[0].PublicKey) {
		return nil, errors.New("the key does not belong to the certificate")
	}
	return &CA{certs[0], key}, nil
}

// ParseCertificates reads all certificates of a PEM text; none is an error.
func ParseCertificates(text []byte) ([]*x509.Certificate, error) {
	var out []*x509.Certificate
	for rest := text; ; {
		var block *pem.Block
		if block, rest = pem.Decode(rest); block == nil {
			break
		}
		if block.Type != pemCertificate {
			continue
		}
		cert, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			return nil, fmt.Errorf("read a certificate: %w", err)
		}
		out = append(out, cert)
	}
	if len(out) == 0 {
		return nil, errors.New("there is no certificate in PEM")
	}
	return out, nil
}

func encodeCertificates(certs ...*x509.Certificate) []byte {
	var out []byte
	for _, cert := range certs {
		out = append(out, pem.EncodeToMemory(&pem.Block{Type: pemCertificate, Bytes: cert.Raw})...)
	}
	return out
}

func encodeKey(key *ecdsa.PrivateKey) ([]byte, error) {
	der, err := x509.MarshalECPrivateKey(key)
	if err != nil {
		return nil, fmt.Errorf("encode a key: %w", err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: pemKey, Bytes: der}), nil
}
