package compile_test

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"math/big"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/millrace/millrace/api/v1alpha1"
	"github.com/millrace/millrace/internal/compile"
	"github.com/millrace/millrace/internal/contract/plan"
)

// many is a namespace with domains that all name one Secret of a certificate.
func many(n int, cert, key []byte) compile.Input {
	in := compile.Input{
		Classes: []v1alpha1.MediaClass{compile.DefaultClass()},
		Secrets: []corev1.Secret{{
			ObjectMeta: metav1.ObjectMeta{Namespace: "tenant", Name: "web"},
			Data:       map[string][]byte{corev1.TLSCertKey: cert, corev1.TLSPrivateKeyKey: key},
		}},
	}
	for i := range n {
		in.PlayDomains = append(in.PlayDomains, v1alpha1.PlayDomain{
			ObjectMeta: metav1.ObjectMeta{Namespace: "tenant", Name: fmt.Sprintf("d%03d", i)},
			Spec: v1alpha1.PlayDomainSpec{
				Hostname: v1alpha1.Hostname(fmt.Sprintf("d%03d.example.com", i)), Type: v1alpha1.PlayRTS,
				TLS: &v1alpha1.DomainTLS{SecretRef: v1alpha1.SecretReference{Name: "web"}},
			},
		})
	}
	return in
}

func wildcard(t *testing.T) (cert, key []byte) {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), DNSNames: []string{"*.example.com"}, NotAfter: time.Now().Add(time.Hour),
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, private.Public(), private)
	if err != nil {
		t.Fatal(err)
	}
	secret, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}),
		pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: secret})
}

// One certificate of many domains is in memory once, and the Pairs of a Compile before give it again.
func TestDomainsShareTheContentOfACertificate(t *testing.T) {
	cert, key := wildcard(t)
	in := many(200, cert, key)
	in.Pairs = compile.NewPairs()
	shared := map[*plan.KeyPair]bool{}
	for range 2 {
		for _, d := range compile.Compile(in).Plan("default").Play {
			shared[d.TLS] = true
		}
	}
	if len(shared) != 1 || shared[nil] {
		t.Errorf("200 domains of one Secret have %d key pairs", len(shared))
	}
}

// A Secret of junk behind many domains makes no large Plan: the domains are served without TLS, and say why.
func TestJunkBehindManyDomainsStaysOutOfThePlan(t *testing.T) {
	cert, key := wildcard(t)
	junk := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: make([]byte, 710_000)})
	for name, text := range map[string][]byte{
		"a large block":       append(bytes.Clone(cert), junk...),
		"text between blocks": append(bytes.Repeat([]byte("junk "), 190_000), cert...),
	} {
		out := compile.Compile(many(200, text, key))
		encoded, err := json.Marshal(out.Plan("default"))
		if err != nil {
			t.Fatal(err)
		}
		if len(out.Plan("default").Play) != 200 || len(encoded) > 200<<10 {
			t.Errorf("%s: the plan has %d domains in %d bytes", name, len(out.Plan("default").Play), len(encoded))
		}
		for _, v := range out.Verdicts {
			c := v.Condition(v1alpha1.ConditionResolvedRefs)
			if v.Kind == v1alpha1.KindPlayDomain && (c.Reason != v1alpha1.ReasonSecretInvalid ||
				!strings.Contains(c.Message, "tls.crt is larger than 64 KiB: leave only")) {
				t.Fatalf("%s: %s: %+v", name, v.Name, c)
			}
		}
	}
}
