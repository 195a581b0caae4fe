package operator_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/millrace/millrace/internal/testkit"
)

// mountedCertificate writes a folder as a Secret of cert-manager is mounted, for a webhook on loopback. It gives the
// folder and the CA.
func mountedCertificate(t *testing.T) (string, []byte) {
	t.Helper()
	sign := func(template, parent *x509.Certificate, key, parentKey *ecdsa.PrivateKey) *x509.Certificate {
		template.NotBefore, template.NotAfter = time.Now().Add(-time.Minute), time.Now().Add(time.Hour)
		if parent == nil {
			parent, parentKey = template, key
		}
		der, err := x509.CreateCertificate(rand.Reader, template, parent, key.Public(), parentKey)
		if err != nil {
			t.Fatal(err)
		}
		cert, err := x509.ParseCertificate(der)
		if err != nil {
			t.Fatal(err)
		}
		return cert
	}
	newKey := func() *ecdsa.PrivateKey {
		key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
		if err != nil {
			t.Fatal(err)
		}
		return key
	}
	caKey, key := newKey(), newKey()
	ca := sign(
		&x509.Certificate{
			SerialNumber:          big.NewInt(1),
			Subject:               pkix.Name{CommonName: "ca of the test"},
			IsCA:                  true,
			BasicConstraintsValid: true,
			KeyUsage:              x509.KeyUsageCertSign,
		},
		nil,
		caKey,
		nil,
	)
	leaf := sign(&x509.Certificate{SerialNumber: big.NewInt(2), IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}}, ca, key, caKey)
	der, err := x509.MarshalECPrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	bundle := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: ca.Raw})
	dir := t.TempDir()
	for name, text := range map[string][]byte{
		"tls.crt": pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: leaf.Raw}),
		"tls.key": pem.EncodeToMemory(&pem.Block{Type: "EC PRIVATE KEY", Bytes: der}),
		"ca.crt":  bundle,
	} {
		if err := os.WriteFile(filepath.Join(dir, name), text, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir, bundle
}

func TestACertificateOfOnesOwn(t *testing.T) {
	c := installed(t)
	dir, bundle := mountedCertificate(t)
	run(t, c, "--default-class", classFile(t), "--webhook-certs", "Provided", "--webhook-cert-dir", dir)
	waitEnforced(t, c)
	there, err := webhookConfiguration(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	if string(there.Webhooks[0].ClientConfig.CABundle) != string(bundle) {
		t.Error("caBundle is not the ca.crt that is mounted")
	}
}

// cert-manager writes the bundle, so the operator leaves it alone; nobody is ready before.
func TestACertificateOfCertManager(t *testing.T) {
	c := installed(t)
	removeWebhook(t, c)
	installed(t)
	dir, bundle := mountedCertificate(t)
	p := begin(t, c, "--default-class", classFile(t), "--webhook-certs", "CertManager", "--webhook-cert-dir", dir)
	testkit.Succeeds(t, func() error {
		there, err := webhookConfiguration(t.Context(), c)
		if err != nil {
			return err
		}
		if len(there.Webhooks[0].ClientConfig.CABundle) > 0 {
			t.Fatal("the operator wrote a bundle")
		}
		if p.ready(t.Context()) == nil {
			t.Fatal("ready without a bundle")
		}
		there.Webhooks[0].ClientConfig.CABundle = bundle
		return c.Update(t.Context(), there)
	})
	p.waitReady(t)
	waitEnforced(t, c)
	if there, err := webhookConfiguration(t.Context(), c); err != nil ||
		string(there.Webhooks[0].ClientConfig.CABundle) != string(bundle) {
		t.Error(errors.Join(err, errors.New("the bundle of cert-manager is not there any more")))
	}
}
