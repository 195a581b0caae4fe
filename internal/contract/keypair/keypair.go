// Package keypair reads the TLS certificate and the private key of a domain. Tenants choose both, and whoever serves
// them pays for them: so their sizes, the types of keys and the number of primes are bounded before anything is
// computed with them.
package keypair

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rsa"
	"crypto/tls"
	"crypto/x509"
	"encoding/asn1"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"strings"
)

// Bounds of what is read. The DER of an RSA key of 4096 bits with two primes has 2.4 KiB, other keys have less.
const (
	MaxChain = 64 << 10 // bytes of tls.crt
	MaxKey   = 16 << 10 // bytes of tls.key

	maxKeyDER = 3 << 10
	minRSA    = 2048
	maxRSA    = 4096
)

// remedy ends the errors about keys that are not served.
const remedy = "issue one with RSA of 2048 to 4096 bits and two primes, ECDSA P-256 or P-384, or Ed25519"

// Pair is a certificate chain with its private key.
type Pair struct {
	// Certificate for tls.Config; Leaf is set.
	Certificate tls.Certificate
	// Chain and Key are what was read, as PEM without anything that lies between the blocks.
	Chain, Key []byte
}

// Parse reads a chain of certificates, the leaf first, and the leaf's private key (PKCS #8, PKCS #1 or SEC 1), both
// PEM. Its cost is bounded whatever the input: inputs beyond the bounds are refused unread, and the numbers of an RSA
// key are looked at before it is checked.
//
// An error begins with the key of the Secret that it is about, says the remedy, and holds nothing of the private key.
func Parse(chain, key []byte) (*Pair, error) {
	blocks, chainPEM, err := certificates(chain)
	if err != nil {
		return nil, fmt.Errorf("tls.crt %w", err)
	}
	leaf, err := x509.ParseCertificate(blocks[0])
	if err != nil {
		return nil, fmt.Errorf("tls.crt holds a first certificate that cannot be read (%w): issue another", err)
	}
	if err := served(leaf.PublicKey); err != nil {
		return nil, fmt.Errorf("tls.crt %w", err)
	}
	keyPEM, err := privateKey(key)
	if err != nil {
		return nil, fmt.Errorf("tls.key %w", err)
	}
	pair, err := tls.X509KeyPair(chainPEM, keyPEM)
	if err != nil {
		// The error speaks of formats, never of the key itself.
		return nil, fmt.Errorf("tls.key does not fit to tls.crt or cannot be used (%w): replace both", err)
	}
	pair.Leaf = leaf
	return &Pair{Certificate: pair, Chain: chainPEM, Key: keyPEM}, nil
}

// certificates reads all blocks of a chain; each has to be a certificate.
func certificates(chain []byte) (ders [][]byte, text []byte, err error) {
	if len(chain) > MaxChain {
		return nil, nil, fmt.Errorf("is larger than %d KiB: leave only the certificates of the chain in it", MaxChain>>10)
	}
	var out bytes.Buffer
	for rest := chain; ; {
		var block *pem.Block
		if block, rest = pem.Decode(rest); block == nil {
			break
		}
		if block.Type != "CERTIFICATE" {
			return nil, nil, fmt.Errorf("holds a block %.40q: leave only CERTIFICATE blocks in it", block.Type)
		}
		if _, err := x509.ParseCertificate(block.Bytes); err != nil {
			return nil, nil, fmt.Errorf("holds a certificate that cannot be read, number %d: remove or replace it", len(ders)+1)
		}
		ders = append(ders, block.Bytes)
		if err := pem.Encode(&out, &pem.Block{Type: block.Type, Bytes: block.Bytes}); err != nil {
			return nil, nil, fmt.Errorf("cannot be written as PEM: %w", err)
		}
	}
	if len(ders) == 0 {
		return nil, nil, errors.New("holds no certificate: put the chain there as PEM, the certificate of the domain first")
	}
	return ders, out.Bytes(), nil
}

// served reports whether the public key is of a type and size that is served.
func served(public any) error {
	switch key := public.(type) {
	case *rsa.PublicKey:
		if bits := key.N.BitLen(); bits < minRSA || bits > maxRSA {
			return fmt.Errorf("has an RSA key of %d bits: %s", bits, remedy)
		}
		return nil
	case *ecdsa.PublicKey:
		if key.Curve != elliptic.P256() && key.Curve != elliptic.P384() {
			return fmt.Errorf("has an ECDSA key on curve %s: %s", key.Params().Name, remedy)
		}
		return nil
	case ed25519.PublicKey:
		return nil
	}
	return fmt.Errorf("has a key of another type: %s", remedy)
}

// privateKey finds the block of the private key and looks at its size and, of an RSA key, at its numbers.
func privateKey(text []byte) ([]byte, error) {
	if len(text) > MaxKey {
		return nil, fmt.Errorf("is larger than %d KiB: %s", MaxKey>>10, remedy)
	}
	for rest := text; ; {
		var block *pem.Block
		if block, rest = pem.Decode(rest); block == nil {
			return nil, errors.New("holds no private key: put it there as PEM, without a passphrase")
		}
		if block.Type != "PRIVATE KEY" && !strings.HasSuffix(block.Type, " PRIVATE KEY") {
			continue // such as the parameters of a curve
		}
		if len(block.Bytes) > maxKeyDER {
			return nil, fmt.Errorf("holds a private key of %d bytes: %s", len(block.Bytes), remedy)
		}
		if err := rsaShape(block.Bytes); err != nil {
			return nil, err
		}
		return pem.EncodeToMemory(&pem.Block{Type: block.Type, Bytes: block.Bytes}), nil
	}
}

// rsaKey is RSAPrivateKey of PKCS #1 (RFC 8017 appendix A.1.2).
type rsaKey struct {
	Version          int
	N                *big.Int
	E                int
	D, P, Q          *big.Int
	Dp, Dq, Qinv     *big.Int      `asn1:"optional"`
	AdditionalPrimes asn1.RawValue `asn1:"optional"`
}

// rsaShape refuses RSA keys of more than two primes and of other sizes, without computing anything. Keys that are not
// RSA pass.
func rsaShape(der []byte) error {
	var wrapped struct { // PrivateKeyInfo of PKCS #8 (RFC 5208 section 5)
		Version   int
		Algorithm asn1.RawValue
		Key       []byte
	}
	if _, err := asn1.Unmarshal(der, &wrapped); err == nil {
		der = wrapped.Key
	}
	var key rsaKey
	if _, err := asn1.Unmarshal(der, &key); err != nil {
		return nil //nolint:nilerr // not RSA
	}
	if key.Version != 0 || len(key.AdditionalPrimes.FullBytes) > 0 {
		return fmt.Errorf("holds an RSA key of more than two primes: %s", remedy)
	}
	if bits := key.N.BitLen(); bits < minRSA || bits > maxRSA {
		return fmt.Errorf("holds an RSA key of %d bits: %s", bits, remedy)
	}
	return nil
}
