package pull

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"math/big"
	"testing"
	"time"
)

// authority issues certificates for one name.
type authority struct {
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
	pool *x509.CertPool
}

const podName = "ingest.pods.example.com"

func sign(
	t *testing.T,
	template, parent *x509.Certificate,
	parentKey *ecdsa.PrivateKey,
) (*x509.Certificate, *ecdsa.PrivateKey) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	if parent == nil {
		parent, parentKey = template, key
	}
	template.NotBefore, template.NotAfter = time.Now().Add(-time.Hour), time.Now().Add(time.Hour)
	der, err := x509.CreateCertificate(rand.Reader, template, parent, &key.PublicKey, parentKey)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return cert, key
}

func newAuthority(t *testing.T) *authority {
	t.Helper()
	a := &authority{pool: x509.NewCertPool()}
	a.cert, a.key = sign(t, &x509.Certificate{
		SerialNumber: big.NewInt(
			1,
		), Subject: pkix.Name{CommonName: "test"}, IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}, nil, nil)
	a.pool.AddCert(a.cert)
	return a
}

func (a *authority) issue(t *testing.T) tls.Certificate {
	t.Helper()
	cert, key := sign(t, &x509.Certificate{
		SerialNumber: big.NewInt(2), DNSNames: []string{podName}, KeyUsage: x509.KeyUsageDigitalSignature,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	}, a.cert, a.key)
	return tls.Certificate{Certificate: [][]byte{cert.Raw}, PrivateKey: key}
}

func TestMutualTLS(t *testing.T) {
	ours, foreign := newAuthority(t), newAuthority(t)
	tracks, frames := opusFrames(t, 1)
	from := newHub(t)
	pub := publish(t, from, tracks...)
	write(t, pub, frames[0])
	r := serve(t, from, func(o *ServerOptions) {
		o.TLSConfig = &tls.Config{
			MinVersion: tls.VersionTLS13, Certificates: []tls.Certificate{ours.issue(t)},
			ClientAuth: tls.RequireAndVerifyClientCert, ClientCAs: ours.pool,
		}
	})
	for name, certs := range map[string][]tls.Certificate{"none": nil, "foreign": {foreign.issue(t)}} {
		to := newHub(t)
		err := result(t, runClient(t, &Client{
			URL: "rtsps://" + r.address + streamPath, Hub: to, Key: streamKey(),
			TLSConfig: &tls.Config{MinVersion: tls.VersionTLS13, ServerName: podName, RootCAs: ours.pool, Certificates: certs},
		}))
		if err == nil || to.Lookup(streamKey()) != nil {
			t.Errorf("certificate %s: something came: %v", name, err)
		}
	}
	// A server that is not ours gets no request.
	if err := result(t, runClient(t, &Client{
		URL: "rtsps://" + r.address + streamPath, Hub: newHub(t), Key: streamKey(),
		TLSConfig: &tls.Config{MinVersion: tls.VersionTLS13, ServerName: podName, RootCAs: foreign.pool,
			Certificates: []tls.Certificate{ours.issue(t)}},
	})); !isUnknownAuthority(err) {
		t.Errorf("a foreign server is taken: %v", err)
	}
	if n := r.count(t, "millrace_pull_sessions_total", ""); n != 0 {
		t.Fatalf("%v sessions played", n)
	}
	to := newHub(t)
	done := runClient(t, &Client{
		URL: "rtsps://" + r.address + streamPath, Hub: to, Key: streamKey(),
		TLSConfig: &tls.Config{
			MinVersion:   tls.VersionTLS13,
			ServerName:   podName,
			RootCAs:      ours.pool,
			Certificates: []tls.Certificate{ours.issue(t)},
		},
	})
	if f := next(t, reader(t, to)); content(f) != content(frames[0]) {
		t.Error("another frame came")
	}
	pub.End()
	if err := result(t, done); err != nil {
		t.Error(err)
	}
}

func isUnknownAuthority(err error) bool {
	_, ok := errors.AsType[x509.UnknownAuthorityError](err)
	return ok
}
