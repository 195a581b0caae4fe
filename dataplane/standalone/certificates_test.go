package standalone

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"net/http"
	"testing"

	"github.com/millrace/millrace/dataplane/certificates"
	"github.com/millrace/millrace/internal/contract/plan"
)

// certificatePEM makes a self-signed certificate for the names below example.com.
func certificatePEM(t *testing.T) (cert, key string) {
	t.Helper()
	c, err := certificates.New(plan.NewCurrent(), certificates.Options{SelfSigned: true})
	if err != nil {
		t.Fatal(err)
	}
	made, err := c.Get(&tls.ClientHelloInfo{ServerName: "*.example.com"})
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(made.PrivateKey)
	if err != nil {
		t.Fatal(err)
	}
	return string(
			pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: made.Certificate[0]}),
		), string(
			pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}),
		)
}

// A domain's own certificate is shown to those who name it, a self-signed one to the others.
func TestCertificateByName(t *testing.T) {
	manifests := certificateAdder(t)(quickstart + `
---
apiVersion: v1
kind: Secret
metadata: {name: tls}
stringData:
  note: text
---
apiVersion: live.millrace.dev/v1alpha1
kind: PlayDomain
metadata: {name: own}
spec: {hostname: secret.example.com, type: RTS, tls: {secretRef: {name: tls}}}
`)
	p := start(t, manifests, func(o *Options) { o.HTTPSPort, o.SelfSigned = 0, true })
	serial := func(name string) string {
		conn, err := tls.Dial("tcp", p.at.HTTPS.String(), &tls.Config{ServerName: name, InsecureSkipVerify: true})
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		return conn.ConnectionState().PeerCertificates[0].SerialNumber.String()
	}
	own, other := serial("secret.example.com"), serial("rts.example.com")
	if own == other || own != serial("secret.example.com") || other != serial("rts.example.com") {
		t.Errorf("certificates %s and %s", own, other)
	}
	client := &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}}
	res, err := client.Get("https://" + p.at.HTTPS.String() + "/live/stream")
	if err != nil {
		t.Fatal(err)
	}
	_ = res.Body.Close()
	if res.StatusCode != 404 {
		t.Errorf("an address instead of a name: %s", res.Status)
	}
}
