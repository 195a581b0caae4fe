package keypair_test

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/asn1"
	"encoding/pem"
	"math/big"
	"strings"
	"testing"
	"time"

	"github.com/millrace/millrace/internal/contract/keypair"
)

func block(kind string, der []byte) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der})
}

// certificate is one for a public key, signed by a key of its own.
func certificate(t *testing.T, public any) []byte {
	t.Helper()
	signer, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), DNSNames: []string{"live.example.com"}, NotAfter: time.Now().Add(time.Hour),
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, public, signer)
	if err != nil {
		t.Fatal(err)
	}
	return block("CERTIFICATE", der)
}

func pkcs8(t *testing.T, key any) []byte {
	t.Helper()
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	return block("PRIVATE KEY", der)
}

func must[T any](t *testing.T) func(T, error) T {
	return func(v T, err error) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}

// fakeRSA is the DER of an RSA key (PKCS #1) with a modulus of some bits and further primes. Its numbers mean nothing.
func fakeRSA(t *testing.T, bits, further int) []byte {
	t.Helper()
	type prime struct{ R, D, T *big.Int }
	key := struct {
		Version               int
		N                     *big.Int
		E                     int
		D, P, Q, Dp, Dq, Qinv *big.Int
		Further               []prime `asn1:"optional,omitempty"`
	}{N: new(big.Int).SetBit(big.NewInt(1), bits-1, 1), E: 65537}
	for _, n := range []**big.Int{&key.D, &key.P, &key.Q, &key.Dp, &key.Dq, &key.Qinv} {
		*n = big.NewInt(3)
	}
	for range further {
		key.Version, key.Further = 1, append(key.Further, prime{big.NewInt(3), big.NewInt(3), big.NewInt(3)})
	}
	return must[[]byte](t)(asn1.Marshal(key))
}

func TestKeysThatAreServed(t *testing.T) {
	rsa2048 := must[*rsa.PrivateKey](t)(rsa.GenerateKey(rand.Reader, 2048))
	p256 := must[*ecdsa.PrivateKey](t)(ecdsa.GenerateKey(elliptic.P256(), rand.Reader))
	p384 := must[*ecdsa.PrivateKey](t)(ecdsa.GenerateKey(elliptic.P384(), rand.Reader))
	_, ed, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	sec1 := append(block("EC PARAMETERS", []byte{6, 1, 0}),
		block("EC PRIVATE KEY", must[[]byte](t)(x509.MarshalECPrivateKey(p256)))...)
	for name, c := range map[string]struct {
		key  crypto.Signer
		text []byte
	}{
		"RSA in PKCS #8": {rsa2048, pkcs8(t, rsa2048)},
		"RSA in PKCS #1": {rsa2048, block("RSA PRIVATE KEY", x509.MarshalPKCS1PrivateKey(rsa2048))},
		"P-256":          {p256, pkcs8(t, p256)},
		"P-256 in SEC 1": {p256, sec1},
		"P-384":          {p384, pkcs8(t, p384)},
		"Ed25519":        {ed, pkcs8(t, ed)},
	} {
		leaf := certificate(t, c.key.Public())
		chain := append([]byte("subject=live.example.com\n"), append(leaf, certificate(t, p256.Public())...)...)
		pair, err := keypair.Parse(chain, c.text)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if len(pair.Certificate.Certificate) != 2 || pair.Certificate.Leaf.DNSNames[0] != "live.example.com" {
			t.Errorf("%s: the chain is not what was given", name)
		}
		if strings.Contains(string(pair.Chain), "subject=") || !strings.HasPrefix(string(pair.Chain), string(leaf)) {
			t.Errorf("%s: the chain is kept with what lies between its blocks", name)
		}
		if again, err := keypair.Parse(pair.Chain, pair.Key); err != nil || string(again.Key) != string(pair.Key) {
			t.Errorf("%s: what is kept cannot be read again: %v", name, err)
		}
	}
}

// What a tenant may not bring, because whoever serves it pays for it. None of the numbers is ever computed with.
func TestKeysThatAreRefused(t *testing.T) {
	p256 := must[*ecdsa.PrivateKey](t)(ecdsa.GenerateKey(elliptic.P256(), rand.Reader))
	p521 := must[*ecdsa.PrivateKey](t)(ecdsa.GenerateKey(elliptic.P521(), rand.Reader))
	weak := must[*rsa.PrivateKey](t)(rsa.GenerateKey(rand.Reader, 1024))
	good, key := certificate(t, p256.Public()), pkcs8(t, p256)
	huge := &rsa.PublicKey{N: new(big.Int).SetBit(big.NewInt(1), 16383, 1), E: 65537}
	inPKCS8 := must[[]byte](t)(asn1.Marshal(struct {
		Version   int
		Algorithm struct{ OID asn1.ObjectIdentifier }
		Key       []byte
	}{0, struct{ OID asn1.ObjectIdentifier }{asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 1, 1}}, fakeRSA(t, 4096, 62)}))
	for name, c := range map[string]struct {
		chain, key []byte
		want       string
	}{
		"RSA of 64 primes":            {good, block("RSA PRIVATE KEY", fakeRSA(t, 4096, 62)), "tls.key holds an RSA key of more"},
		"RSA of 64 primes in PKCS #8": {good, block("PRIVATE KEY", inPKCS8), "tls.key holds an RSA key of more"},
		"RSA of 393216 bits":          {good, block("RSA PRIVATE KEY", fakeRSA(t, 393216, 0)), "tls.key is larger than 16 KiB"},
		"RSA of 32768 bits":           {good, block("RSA PRIVATE KEY", fakeRSA(t, 32768, 0)), "tls.key holds a private key of "},
		"RSA of 8192 bits":            {good, block("RSA PRIVATE KEY", fakeRSA(t, 8192, 0)), "tls.key holds an RSA key of 8192 bits"},
		"RSA of 1024 bits":            {certificate(t, weak.Public()), pkcs8(t, weak), "tls.crt has an RSA key of 1024 bits"},
		"a certificate of 16384 bits": {certificate(t, huge), key, "tls.crt has an RSA key of 16384 bits"},
		"P-521":                       {certificate(t, p521.Public()), pkcs8(t, p521), "tls.crt has an ECDSA key on curve P-521"},
		"a chain of 65 KiB":           {append(good, make([]byte, 65<<10)...), key, "tls.crt is larger than 64 KiB"},
		"junk in a block":             {append(good, block("CERTIFICATE", []byte("junk"))...), key, "cannot be read, number 2"},
		"a key among certificates":    {append(good, key...), key, `tls.crt holds a block "PRIVATE KEY"`},
		"no certificate":              {[]byte("junk"), key, "tls.crt holds no certificate"},
		"no key":                      {good, []byte("junk"), "tls.key holds no private key"},
		"another key":                 {certificate(t, p521.Public()), key, "P-521"},
		"a key of another pair":       {certificate(t, must[*ecdsa.PrivateKey](t)(ecdsa.GenerateKey(elliptic.P256(), rand.Reader)).Public()), key, "does not fit"},
	} {
		_, err := keypair.Parse(c.chain, c.key)
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", name, err, c.want)
		}
	}
}

// FuzzParse: no input panics, and what is accepted is accepted again in the form in which it is kept.
func FuzzParse(f *testing.F) {
	f.Add([]byte("-----BEGIN CERTIFICATE-----\nAA==\n-----END CERTIFICATE-----\n"),
		[]byte("-----BEGIN PRIVATE KEY-----\nAA==\n-----END PRIVATE KEY-----\n"))
	f.Fuzz(func(t *testing.T, chain, key []byte) {
		pair, err := keypair.Parse(chain, key)
		if err != nil {
			return
		}
		if _, err := keypair.Parse(pair.Chain, pair.Key); err != nil {
			t.Fatalf("what is kept cannot be read: %v", err)
		}
	})
}
