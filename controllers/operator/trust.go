package operator

import (
	"context"
	"crypto/tls"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/certwatcher"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/manager"

	"github.com/millrace/millrace/controllers/pki"
	"github.com/millrace/millrace/internal/contract"
)

// +kubebuilder:rbac:groups="",namespace=millrace-system,resources=secrets,verbs=create
// +kubebuilder:rbac:groups="",namespace=millrace-system,resources=secrets,resourceNames=millrace-ca;millrace-webhook-ca,verbs=get;update

// The Secrets with the CAs. They trust each other in nothing: one is for the API server, one for the pods.
const (
	mediaCA   = "millrace-ca"
	webhookCA = "millrace-webhook-ca"
)

// Lives of CAs and leaves.
const (
	caLife      = 365 * 24 * time.Hour
	webhookLeaf = 7 * 24 * time.Hour
	podLeaf     = 30 * 24 * time.Hour
)

// trust is where certificates come from.
type trust struct {
	media   *pki.Authority
	webhook *pki.Authority // of CertsBuiltIn
	serving *pki.Serving
	files   *certwatcher.CertWatcher // of the other modes
	opt     Options
}

// loadTrust loads what the operator cannot begin without. It waits for the API server.
func loadTrust(ctx context.Context, direct client.Client, opt Options) (*trust, error) {
	authority := func(secret, name string, leaf time.Duration) *pki.Authority {
		return pki.NewAuthority(pki.Options{
			Client: direct,
			Secret: types.NamespacedName{Namespace: opt.Namespace, Name: secret},
			Policy: pki.Policy{Name: name, CA: caLife, Leaf: leaf, Overlap: opt.CAOverlap},
			// Often enough that every replica has read a new bundle long before its CA signs.
			Every:  min(30*time.Second, max(time.Second, opt.CAOverlap/4)),
			Labels: map[string]string{contract.LabelName: contract.Name, contract.LabelManagedBy: contract.ManagedBy},
			Log:    opt.Log.WithName("pki"),
		})
	}
	t := &trust{opt: opt, media: authority(mediaCA, "Millrace media CA", podLeaf)}
	if err := insist(ctx, opt, t.media.Refresh); err != nil {
		return nil, err
	}
	if opt.WebhookPort < 0 {
		return t, nil
	}
	if opt.CertMode != CertsBuiltIn {
		var err error
		t.files, err = certwatcher.New(filepath.Join(opt.CertDir, "tls.crt"), filepath.Join(opt.CertDir, "tls.key"))
		if err != nil {
			return nil, fmt.Errorf("load the webhook's certificate from %s: %w", opt.CertDir, err)
		}
		return t, nil
	}
	t.webhook = authority(webhookCA, "Millrace webhook CA", webhookLeaf)
	if err := insist(ctx, opt, t.webhook.Refresh); err != nil {
		return nil, err
	}
	t.serving = pki.NewServing(t.webhook, opt.site().ServerName())
	return t, t.serving.Renew()
}

// insist tries until it works: at the start of a cluster the API server, or what is allowed there, may come later.
func insist(ctx context.Context, opt Options, try func(context.Context) error) error {
	for {
		err := try(ctx)
		if err == nil {
			return nil
		}
		opt.Log.Error(err, "Loading a CA failed, trying again")
		select {
		case <-ctx.Done():
			return err
		case <-time.After(2 * time.Second):
		}
	}
}

// certificate is the certificate of the webhook, for tls.Config.
func (t *trust) certificate(hello *tls.ClientHelloInfo) (*tls.Certificate, error) {
	if t.files != nil {
		return t.files.GetCertificate(hello)
	}
	return t.serving.GetCertificate(hello)
}

// bundle returns the CAs that prove the webhook's certificate; nil when cert-manager writes them.
func (t *trust) bundle() func() []byte {
	switch t.opt.CertMode {
	case CertsBuiltIn:
		return t.webhook.Bundle
	case CertsProvided:
		return func() []byte {
			text, err := os.ReadFile(filepath.Join(t.opt.CertDir, pki.KeyBundle))
			if err == nil {
				_, err = pki.ParseCertificates(text)
			}
			if err != nil {
				t.opt.Log.Error(err, "Reading the CA of the webhook's certificate failed", "folder", t.opt.CertDir)
				return nil
			}
			return text
		}
	}
	return nil
}

func (t *trust) changes() <-chan struct{} {
	if t.webhook == nil {
		return nil
	}
	return t.webhook.Changes()
}

// addTo lets a manager run what keeps certificates fresh, in every replica.
func (t *trust) addTo(mgr manager.Manager, opt Options) error {
	all := []manager.Runnable{t.media}
	if opt.WebhookPort > 0 {
		if t.files != nil {
			all = append(all, t.files)
		} else {
			all = append(all, t.webhook, t.serving)
		}
	}
	for _, r := range all {
		if err := mgr.Add(r); err != nil {
			return err
		}
	}
	return nil
}
