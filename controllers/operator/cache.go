package operator

import (
	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	"k8s.io/apimachinery/pkg/fields"
	"sigs.k8s.io/controller-runtime/pkg/cache"

	"github.com/millrace/millrace/controllers"
	"github.com/millrace/millrace/controllers/admission"
)

// cacheOptions say what is watched where: what the reconcilers need, and one webhook configuration.
func cacheOptions(opt Options) cache.Options {
	out := controllers.CacheOptions(controllerOptions(opt))
	out.ByObject[&admissionregistrationv1.ValidatingWebhookConfiguration{}] = cache.ByObject{
		Field: fields.OneTermEqualSelector("metadata.name", admission.ConfigurationName),
	}
	return out
}
