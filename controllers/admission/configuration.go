package admission

import (
	"fmt"
	"net/url"

	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/millrace/millrace/api/v1alpha1"
)

// Port of the Service in front of the webhook.
const servicePort = 443

// Site says where the operator runs: what the configuration of the webhook depends on.
type Site struct {
	Namespace      string
	ServiceAccount string
	// URL of the webhook when the operator runs outside of the cluster, such as https://192.0.2.7:10250/validate; empty:
	// its Service.
	URL string
}

// ServerName is the name, or the IP address, by which the API server calls the webhook.
func (s Site) ServerName() string {
	if u, err := url.Parse(s.URL); err == nil && u.Hostname() != "" {
		return u.Hostname()
	}
	return ServiceName + "." + s.Namespace + ".svc"
}

func (s Site) client(bundle []byte) admissionregistrationv1.WebhookClientConfig {
	if s.URL != "" {
		return admissionregistrationv1.WebhookClientConfig{URL: &s.URL, CABundle: bundle}
	}
	path, port := Path, int32(servicePort)
	return admissionregistrationv1.WebhookClientConfig{
		Service: &admissionregistrationv1.ServiceReference{
			Namespace: s.Namespace,
			Name:      ServiceName,
			Path:      &path,
			Port:      &port,
		},
		CABundle: bundle,
	}
}

// Desired is the webhook as it should stand in the configuration. Every field is set, so that it can be compared with
// what is there. Status updates and deletions never come here: the rules name neither. A nil bundle is left to whoever
// else writes it.
func Desired(
	site Site,
	bundle []byte,
	policy admissionregistrationv1.FailurePolicyType,
) admissionregistrationv1.ValidatingWebhook {
	none, equivalent, timeout := admissionregistrationv1.SideEffectClassNone, admissionregistrationv1.Equivalent, int32(5)
	scope := admissionregistrationv1.AllScopes
	return admissionregistrationv1.ValidatingWebhook{
		Name:         WebhookName,
		ClientConfig: site.client(bundle),
		Rules: []admissionregistrationv1.RuleWithOperations{{
			Operations: []admissionregistrationv1.OperationType{admissionregistrationv1.Create, admissionregistrationv1.Update},
			Rule: admissionregistrationv1.Rule{
				APIGroups: []string{v1alpha1.Group}, APIVersions: []string{v1alpha1.Version}, Scope: &scope,
				Resources: []string{"pushdomains", "playdomains", "domainassociations", "rtstranscodetemplates", "mediaclasses"},
			},
		}},
		MatchConditions: []admissionregistrationv1.MatchCondition{
			// Finalizers, labels and annotations can be changed while no operator runs.
			{Name: "spec-changes", Expression: "oldObject == null || object.spec != oldObject.spec"},
			// The operator's own writes are decided already. Its dry runs are the test of this very webhook.
			{Name: "not-by-the-operator", Expression: fmt.Sprintf(
				"request.userInfo.username != 'system:serviceaccount:%s:%s' || (has(request.dryRun) && request.dryRun)",
				site.Namespace,
				site.ServiceAccount,
			)},
		},
		FailurePolicy:           &policy,
		MatchPolicy:             &equivalent,
		SideEffects:             &none,
		TimeoutSeconds:          &timeout,
		AdmissionReviewVersions: []string{"v1"},
		NamespaceSelector:       &metav1.LabelSelector{},
		ObjectSelector:          &metav1.LabelSelector{},
	}
}

// find returns the webhook in a configuration; nil when it is not there.
func find(c *admissionregistrationv1.ValidatingWebhookConfiguration) *admissionregistrationv1.ValidatingWebhook {
	for i := range c.Webhooks {
		if c.Webhooks[i].Name == WebhookName {
			return &c.Webhooks[i]
		}
	}
	return nil
}

// same reports whether what is there is what is desired.
func same(there *admissionregistrationv1.ValidatingWebhook, desired admissionregistrationv1.ValidatingWebhook) bool {
	if there == nil {
		return false
	}
	compared := there.DeepCopy()
	if desired.ClientConfig.CABundle == nil {
		compared.ClientConfig.CABundle = nil
	}
	return equality.Semantic.DeepEqual(*compared, desired)
}
