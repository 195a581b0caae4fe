//go:build linux

package main

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"time"
)

const validity = 365 * 24 * time.Hour

// authority signs certificates of the cluster.
type authority struct {
	dir  string
	name string
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
}

// writePKI makes all certificates, keys and kubeconfigs, unless they are there.
func (l layout) writePKI() error {
	if _, err := os.Stat(l.kubeconfig("admin")); !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	dir := l.pki("")
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return fmt.Errorf("making the folder of certificates: %w", err)
	}
	ca, err := newAuthority(dir, "ca")
	if err != nil {
		return err
	}
	front, err := newAuthority(dir, "front-proxy-ca")
	if err != nil {
		return err
	}
	if err := writeServiceAccountKeys(dir); err != nil {
		return err
	}
	type leaf struct {
		signer       *authority
		file, cn, o  string
		hosts        []string
		noKubeconfig bool
	}
	leaves := []leaf{
		{signer: ca, file: "apiserver", cn: "kube-apiserver", hosts: []string{
			serviceFirst, gateway, "127.0.0.1", "kubernetes", "kubernetes.default", "kubernetes.default.svc",
			"kubernetes.default.svc." + domain, "localhost",
		}, noKubeconfig: true},
		{
			signer:       ca,
			file:         "apiserver-kubelet-client",
			cn:           "kube-apiserver-kubelet-client",
			o:            "system:masters",
			noKubeconfig: true,
		},
		{signer: front, file: "front-proxy-client", cn: "front-proxy-client", noKubeconfig: true},
		{signer: ca, file: "controller-manager", cn: "system:kube-controller-manager"},
		{signer: ca, file: "scheduler", cn: "system:kube-scheduler"},
		{signer: ca, file: "kube-proxy", cn: "system:kube-proxy"},
		{signer: ca, file: "netpol", cn: "netpol", o: "system:masters"},
	}
	for _, n := range l.nodes() {
		leaves = append(
			leaves,
			leaf{
				signer: ca,
				file:   n.name(),
				cn:     "system:node:" + n.name(),
				o:      "system:nodes",
				hosts:  []string{n.name(), n.address()},
			},
		)
	}
	// The last one: its kubeconfig says that all is there.
	leaves = append(leaves, leaf{signer: ca, file: "admin", cn: "kubernetes-admin", o: "system:masters"})
	for _, f := range leaves {
		cert, key, err := f.signer.issue(f.file, f.cn, f.o, f.hosts)
		if err != nil {
			return err
		}
		if f.noKubeconfig {
			continue
		}
		if err := os.WriteFile(l.kubeconfig(f.file), kubeconfig(ca, cert, key), 0o600); err != nil {
			return fmt.Errorf("writing the kubeconfig of %s: %w", f.file, err)
		}
	}
	return nil
}

func newAuthority(dir, name string) (*authority, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("making the key of %s: %w", name, err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "millrace test cluster " + name},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(validity),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageDigitalSignature,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		return nil, fmt.Errorf("making the certificate of %s: %w", name, err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		return nil, fmt.Errorf("reading the certificate of %s: %w", name, err)
	}
	a := &authority{dir: dir, name: name, cert: cert, key: key}
	_, _, err = a.write(name, der, key)
	return a, err
}

// issue writes a certificate for clients and servers, and its key.
func (a *authority) issue(file, cn, organization string, hosts []string) (certPEM, keyPEM []byte, err error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, nil, fmt.Errorf("making the key of %s: %w", file, err)
	}
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 120))
	if err != nil {
		return nil, nil, fmt.Errorf("making the serial number of %s: %w", file, err)
	}
	template := &x509.Certificate{
		SerialNumber: serial, Subject: pkix.Name{CommonName: cn}, NotBefore: time.Now().Add(-time.Hour),
		NotAfter:    a.cert.NotAfter,
		KeyUsage:    x509.KeyUsageDigitalSignature | x509.KeyUsageKeyEncipherment,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth, x509.ExtKeyUsageServerAuth},
	}
	if organization != "" {
		template.Subject.Organization = []string{organization}
	}
	for _, host := range hosts {
		if ip := net.ParseIP(host); ip != nil {
			template.IPAddresses = append(template.IPAddresses, ip)
		} else {
			template.DNSNames = append(template.DNSNames, host)
		}
	}
	der, err := x509.CreateCertificate(rand.Reader, template, a.cert, key.Public(), a.key)
	if err != nil {
		return nil, nil, fmt.Errorf("making the certificate of %s: %w", file, err)
	}
	return a.write(file, der, key)
}

func (a *authority) write(file string, der []byte, key *ecdsa.PrivateKey) (certPEM, keyPEM []byte, err error) {
	keyDER, err := x509.MarshalECPrivateKey(key)
	if err != nil {
		return nil, nil, fmt.Errorf("encoding the key of %s: %w", file, err)
	}
	certPEM = pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
	keyPEM = pem.EncodeToMemory(&pem.Block{Type: "EC PRIVATE KEY", Bytes: keyDER})
	err = errors.Join(
		os.WriteFile(filepath.Join(a.dir, file+".crt"), certPEM, 0o600),
		os.WriteFile(filepath.Join(a.dir, file+".key"), keyPEM, 0o600),
	)
	if err != nil {
		return nil, nil, fmt.Errorf("writing the certificate of %s: %w", file, err)
	}
	return certPEM, keyPEM, nil
}

func writeServiceAccountKeys(dir string) error {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return fmt.Errorf("making the key of service accounts: %w", err)
	}
	private, err := x509.MarshalECPrivateKey(key)
	if err != nil {
		return fmt.Errorf("encoding the key of service accounts: %w", err)
	}
	public, err := x509.MarshalPKIXPublicKey(key.Public())
	if err != nil {
		return fmt.Errorf("encoding the public key of service accounts: %w", err)
	}
	return errors.Join(
		os.WriteFile(
			filepath.Join(dir, "sa.key"),
			pem.EncodeToMemory(&pem.Block{Type: "EC PRIVATE KEY", Bytes: private}),
			0o600,
		),
		os.WriteFile(filepath.Join(dir, "sa.pub"), pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: public}), 0o600),
	)
}

func kubeconfig(ca *authority, cert, key []byte) []byte {
	encode := base64.StdEncoding.EncodeToString
	root := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: ca.cert.Raw})
	return fmt.Appendf(nil, `apiVersion: v1
kind: Config
clusters:
- name: millrace
  cluster: {server: "%s", certificate-authority-data: %s}
users:
- name: me
  user: {client-certificate-data: %s, client-key-data: %s}
contexts:
- name: millrace
  context: {cluster: millrace, user: me}
current-context: millrace
`, server, encode(root), encode(cert), encode(key))
}
