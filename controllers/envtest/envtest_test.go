package envtest_test

import (
	"os"
	"testing"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/millrace/millrace/api/v1alpha1"
	"github.com/millrace/millrace/controllers/envtest"
)

var cluster *envtest.Cluster

func TestMain(m *testing.M) { os.Exit(envtest.Main(m, &cluster)) }

func TestTheServerKnowsOurKindsAndRBAC(t *testing.T) {
	c := envtest.Need(t, cluster)
	ns := c.Namespace(t, nil)
	domain := &v1alpha1.PushDomain{
		ObjectMeta: metav1.ObjectMeta{Namespace: ns, Name: "push"},
		Spec:       v1alpha1.PushDomainSpec{Hostname: "push.example.com"},
	}
	c.Make(t, domain)
	if domain.Spec.ClassName != "default" || domain.Status.ObservedGeneration != -1 {
		t.Errorf(
			"the defaults are missing: class %q, observedGeneration %d",
			domain.Spec.ClassName,
			domain.Status.ObservedGeneration,
		)
	}
	nobody, err := client.New(c.AsServiceAccount(t, ns, "nobody"), client.Options{Scheme: c.Scheme()})
	if err != nil {
		t.Fatal(err)
	}
	if err := nobody.Get(t.Context(), client.ObjectKeyFromObject(domain), domain); !apierrors.IsForbidden(err) {
		t.Errorf("a user without a role reads: %v", err)
	}
	if out, err := c.Kubectl(t, "get", "pushdomain", "-n", ns, "push"); err != nil {
		t.Errorf("kubectl: %v\n%s", err, out)
	}
}
