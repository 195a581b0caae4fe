package ingest

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"math/big"
	"net"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/bluenviron/gortmplib"
	"github.com/bluenviron/gortmplib/pkg/codecs"

	"github.com/millrace/millrace/dataplane/media"
	"github.com/millrace/millrace/internal/testkit"
	"github.com/millrace/millrace/internal/testsrc"
)

// certificate makes a self-signed certificate for a name.
func certificate(t *testing.T, name string) (*tls.Certificate, *x509.CertPool) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	must(t, err)
	template := &x509.Certificate{
		SerialNumber:          big.NewInt(1),
		Subject:               pkix.Name{CommonName: name},
		DNSNames:              []string{name},
		NotBefore:             time.Now().Add(-time.Hour),
		NotAfter:              time.Now().Add(time.Hour),
		IsCA:                  true,
		BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	must(t, err)
	leaf, err := x509.ParseCertificate(der)
	must(t, err)
	pool := x509.NewCertPool()
	pool.AddCert(leaf)
	return &tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key, Leaf: leaf}, pool
}

func TestRTMPSTakesThePushDomainFromTheServerName(t *testing.T) {
	local := domain()
	local.Hostname = "localhost"
	r := newRig(t, domains(domain(), local))
	cert, pool := certificate(t, pushHost)
	r.listenTLS(func(hello *tls.ClientHelloInfo) (*tls.Certificate, error) {
		if hello.ServerName != pushHost && hello.ServerName != "localhost" {
			return nil, errors.New("no certificate for this name")
		}
		return cert, nil
	})
	_, port, _ := net.SplitHostPort(r.tls)

	t.Run("gortmplib", func(t *testing.T) {
		u, _ := url.Parse("rtmps://" + r.tls + "/live#secure")
		ctx, cancel := context.WithTimeout(t.Context(), testkit.Patience())
		defer cancel()
		c := &gortmplib.Client{URL: u, Publish: true, TLSConfig: &tls.Config{ServerName: pushHost, RootCAs: pool}}
		must(t, c.Initialize(ctx))
		defer c.Close()
		video := &gortmplib.Track{Codec: &codecs.H264{SPS: unhex(hexSPS), PPS: unhex(hexPPS)}}
		w := r.writer(c, video)
		must(t, w.WriteH264(video, 0, 0, [][]byte{slice(h264IDR)}))
		if s := r.stream("live", "secure", media.Video); s.Publisher().Domain != pushHost {
			t.Errorf("publisher %+v", s.Publisher())
		}
	})
	t.Run("ffmpeg", func(t *testing.T) {
		r.publish(testsrc.Options{URL: "rtmps://localhost:" + port + "/live/ff"})
		if s := r.stream("live", "ff", media.Video); s.Publisher().Domain != "localhost" {
			t.Errorf("publisher %+v", s.Publisher())
		}
	})
	t.Run("refusal", func(t *testing.T) {
		p := r.publish(testsrc.Options{URL: "rtmps://localhost:" + port + "/live/ff?vhost=other.example.com"})
		if out := r.refusal(p); !strings.Contains(out, "other.example.com is not a push domain here") {
			t.Errorf("ffmpeg said: %s", out)
		}
	})
}
