// Package admission is the webhook that says at once what the reconcilers would say a moment later: the rules between
// objects, by the same function (internal/compile), over the candidate and what is there. It is fast and friendly,
// never the lock: with the webhook removed, every rule still holds. It also keeps the webhook's configuration: the CA
// bundle, and the failurePolicy, which becomes Fail only after a refusal came back through the API server.
//
// No webhook sets defaults: all defaults of the API are constants, so the CRDs have them.
package admission

// +kubebuilder:rbac:groups=admissionregistration.k8s.io,resources=validatingwebhookconfigurations,resourceNames=millrace,verbs=get;list;watch;patch
// +kubebuilder:rbac:groups=live.millrace.dev,resources=pushdomains;playdomains;domainassociations;rtstranscodetemplates;mediaclasses;domainclaims,verbs=get;list;watch
// +kubebuilder:rbac:groups="",resources=namespaces,verbs=get;list;watch
// +kubebuilder:rbac:groups=live.millrace.dev,namespace=millrace-system,resources=pushdomains,verbs=create

// Names that the manifests and this package agree on.
const (
	// ConfigurationName is the name of the ValidatingWebhookConfiguration.
	ConfigurationName = "millrace"
	// WebhookName is the name of the one webhook in it. Users see it when they are refused.
	WebhookName = "admission.live.millrace.dev"
	// ServiceName is the name of the Service in front of the webhook.
	ServiceName = "millrace-webhook"
	// Path of the webhook.
	Path = "/validate"
	// FieldOwner is the name under which the operator writes.
	FieldOwner = "millrace-operator"
)
