package certificates_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"math/big"
	"testing"
	"time"

	"github.com/millrace/millrace/dataplane/certificates"
	"github.com/millrace/millrace/internal/contract/plan"
)

func pairFor(t *testing.T, curve elliptic.Curve, host string) *plan.KeyPair {
	t.Helper()
	key, err := ecdsa.GenerateKey(curve, rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), DNSNames: []string{host}, NotAfter: time.Now().Add(time.Hour),
	}
	cert, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	return &plan.KeyPair{
		Cert: pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: cert}),
		Key:  pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}),
	}
}

func ask(s *certificates.Store, host string) (*tls.Certificate, error) {
	return s.Get(&tls.ClientHelloInfo{ServerName: host})
}

// A certificate is parsed once, also when other domains change, and one that is not served ends the handshakes of its
// own domain alone, however it came into the Plan.
func TestDomainsHaveTheirOwnCertificates(t *testing.T) {
	good, odd := pairFor(t, elliptic.P256(), "good.example.com"), pairFor(t, elliptic.P521(), "odd.example.com")
	of := func(more ...plan.PlayDomain) *plan.Index {
		copied := *good // as decoded from another Plan
		p := &plan.Plan{Class: "default", Play: append([]plan.PlayDomain{
			{Hostname: "good.example.com", Type: plan.RTS, TLS: &copied},
			{Hostname: "odd.example.com", Type: plan.RTS, TLS: odd},
		}, more...)}
		return plan.NewIndex(p)
	}
	current := plan.NewCurrent()
	s, err := certificates.New(current, certificates.Options{})
	if err != nil {
		t.Fatal(err)
	}
	current.Store(of())
	first, err := ask(s, "good.example.com")
	if err != nil || first.Leaf.DNSNames[0] != "good.example.com" {
		t.Fatalf("got %v, %v", first, err)
	}
	if _, err := ask(s, "odd.example.com"); err == nil {
		t.Error("a key that is not served is served")
	}
	current.Store(of(plan.PlayDomain{Hostname: "new.example.com", Type: plan.RTS}))
	if again, err := ask(s, "good.example.com"); err != nil || again != first {
		t.Errorf("parsed again when another domain came: %v", err)
	}
}
