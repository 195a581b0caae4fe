package admission

import (
	"context"
	"crypto/tls"
	"fmt"
	"net/http"
	"time"

	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/healthz"

	"github.com/millrace/millrace/controllers/pki"
)

// Ready reports whether the API server can call the webhook of this replica: a certificate is loaded, and the bundle in
// the configuration proves it. A configuration that was deleted on purpose keeps nobody from being ready.
func Ready(
	reader client.Reader,
	site Site,
	certificate func(*tls.ClientHelloInfo) (*tls.Certificate, error),
	now func() time.Time,
) healthz.Checker {
	return func(req *http.Request) error {
		ctx, cancel := context.WithTimeout(req.Context(), 2*time.Second)
		defer cancel()
		var there admissionregistrationv1.ValidatingWebhookConfiguration
		err := reader.Get(ctx, client.ObjectKey{Name: ConfigurationName}, &there)
		if apierrors.IsNotFound(err) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("read ValidatingWebhookConfiguration %s: %w", ConfigurationName, err)
		}
		live := find(&there)
		if live == nil {
			return fmt.Errorf(
				"the webhook is not in ValidatingWebhookConfiguration %s yet: the leader writes it",
				ConfigurationName,
			)
		}
		if err := pki.Trusts(live.ClientConfig.CABundle, certificate, site.ServerName(), now()); err != nil {
			return fmt.Errorf(
				"the caBundle in ValidatingWebhookConfiguration %s does not prove the certificate of this replica: %w",
				ConfigurationName,
				err,
			)
		}
		return nil
	}
}
