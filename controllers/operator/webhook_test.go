package operator_test

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/millrace/millrace/api/v1alpha1"
	"github.com/millrace/millrace/controllers/admission"
	"github.com/millrace/millrace/controllers/pki"
	"github.com/millrace/millrace/internal/testkit"
)

func domain(namespace, name, hostname string) *v1alpha1.PushDomain {
	return &v1alpha1.PushDomain{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name},
		Spec:       v1alpha1.PushDomainSpec{Hostname: v1alpha1.Hostname(hostname), ClassName: "default"},
	}
}

// From nothing to failurePolicy Fail, with the rights of config/rbac alone; the first class is made.
func TestInstallationEndsWithAWebhookThatRefuses(t *testing.T) {
	c := installed(t)
	there := &admissionregistrationv1.ValidatingWebhookConfiguration{}
	if err := c.Get(t.Context(), client.ObjectKey{Name: admission.ConfigurationName}, there); err != nil {
		t.Fatal(err)
	}
	if len(there.Webhooks) > 0 && there.Webhooks[0].FailurePolicy != nil &&
		*there.Webhooks[0].FailurePolicy == admissionregistrationv1.Fail {
		t.Fatal("the webhook fails closed before anybody answers")
	}
	run(t, c, "--default-class", classFile(t))
	waitEnforced(t, c)
	testkit.Succeeds(t, func() error {
		return c.Get(t.Context(), client.ObjectKey{Name: "default"}, &v1alpha1.MediaClass{})
	})

	configuration, err := webhookConfiguration(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	certs, err := pki.ParseCertificates(configuration.Webhooks[0].ClientConfig.CABundle)
	if err != nil {
		t.Fatal(err)
	}
	for _, cert := range certs {
		if !cert.IsCA {
			t.Errorf("caBundle holds %s, which is no CA", cert.Subject)
		}
	}
	// Applying the manifests again takes nothing back.
	before := configuration.ResourceVersion
	installed(t)
	if after, err := webhookConfiguration(t.Context(), c); err != nil || after.ResourceVersion != before {
		t.Errorf("applying config/default again changed the configuration: %v", err)
	}
}

func TestAWipedBundleIsRepaired(t *testing.T) {
	c := installed(t)
	run(t, c, "--default-class", classFile(t))
	waitEnforced(t, c)
	there, err := webhookConfiguration(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	want := bytes.Clone(there.Webhooks[0].ClientConfig.CABundle)
	for name, damage := range map[string]func(*admissionregistrationv1.ValidatingWebhookConfiguration){
		"wiped": func(c *admissionregistrationv1.ValidatingWebhookConfiguration) {
			c.Webhooks[0].ClientConfig.CABundle = nil
		},
		"weakened": func(c *admissionregistrationv1.ValidatingWebhookConfiguration) {
			*c.Webhooks[0].FailurePolicy = admissionregistrationv1.Ignore
		},
		"narrowed": func(c *admissionregistrationv1.ValidatingWebhookConfiguration) {
			c.Webhooks[0].Rules[0].Resources = []string{"pushdomains"}
		},
		"taken out": func(c *admissionregistrationv1.ValidatingWebhookConfiguration) { c.Webhooks = nil },
		"without names": func(c *admissionregistrationv1.ValidatingWebhookConfiguration) {
			c.Webhooks[0].MatchConditions = nil
		},
	} {
		t.Run(name, func(t *testing.T) {
			testkit.Succeeds(t, func() error {
				there, err := webhookConfiguration(t.Context(), c)
				if err != nil {
					return err
				}
				damage(there)
				return c.Update(t.Context(), there)
			})
			waitEnforced(t, c)
			there, err := webhookConfiguration(t.Context(), c)
			if err != nil {
				t.Fatal(err)
			}
			if !bytes.Equal(there.Webhooks[0].ClientConfig.CABundle, want) || len(there.Webhooks[0].Rules[0].Resources) != 5 ||
				len(there.Webhooks[0].MatchConditions) != 2 {
				t.Errorf("the webhook is not what it was: %+v", there.Webhooks[0])
			}
		})
	}
}

// A configuration that a person deleted stays away, and keeps nobody from being ready.
func TestADeletedConfigurationStaysAway(t *testing.T) {
	c := installed(t)
	p := run(t, c, "--default-class", classFile(t))
	waitEnforced(t, c)
	if err := c.Delete(t.Context(), &admissionregistrationv1.ValidatingWebhookConfiguration{ObjectMeta: metav1.ObjectMeta{
		Name: admission.ConfigurationName}}); err != nil {
		t.Fatal(err)
	}
	ns := c.Namespace(t, nil)
	testkit.Succeeds(t, func() error { // the API server forgets a webhook a moment later
		bad := domain(ns, "bad", "bad.gone.example.com")
		bad.Spec.ClassName = "none"
		return c.Create(t.Context(), bad)
	})
	if err := p.ready(t.Context()); err != nil {
		t.Errorf("the operator is not ready without a configuration: %v", err)
	}
	if _, err := webhookConfiguration(t.Context(), c); !apierrors.IsNotFound(err) {
		t.Errorf("the configuration came back: %v", err)
	}
	installed(t)
	waitEnforced(t, c)
}

func TestADryRunChangesNothingAndIsJudged(t *testing.T) {
	c := installed(t)
	run(t, c)
	waitEnforced(t, c)
	wantDefaultClass(t, c)
	ns := c.Namespace(t, nil)
	if err := c.Create(t.Context(), domain(ns, "push", "push.dry.example.com"), client.DryRunAll); err != nil {
		t.Fatalf("a good object is refused: %v", err)
	}
	var domains v1alpha1.PushDomainList
	var claims v1alpha1.DomainClaimList
	if err := c.List(t.Context(), &domains, client.InNamespace(ns)); err != nil || len(domains.Items) > 0 {
		t.Errorf("a dry run left %d domains (%v)", len(domains.Items), err)
	}
	if err := c.List(t.Context(), &claims); err != nil {
		t.Fatal(err)
	}
	for _, claim := range claims.Items {
		if claim.Name == "push.dry.example.com" {
			t.Error("a dry run claimed its hostname")
		}
	}
	bad := domain(ns, "bad", "bad.dry.example.com")
	bad.Spec.ClassName = "none"
	if err := c.Create(t.Context(), bad, client.DryRunAll); !refusedFor(err, v1alpha1.ReasonClassNotFound) {
		t.Errorf("a bad object is not refused: %v", err)
	}
}

// Whoever sets a field that nothing acts on yet is told so as he applies it.
func TestFieldsThatNothingServesAreWarnedAbout(t *testing.T) {
	c := installed(t)
	run(t, c)
	waitEnforced(t, c)
	wantDefaultClass(t, c)
	ns := c.Namespace(t, nil)
	file := filepath.Join(t.TempDir(), "m.yaml")
	text := "apiVersion: live.millrace.dev/v1alpha1\nkind: PushDomain\nmetadata: {name: push, namespace: " + ns + "}\n" +
		"spec: {hostname: push.unserved.example.com, notify: {url: \"https://hooks.example.com/a\"}}\n" +
		"---\napiVersion: live.millrace.dev/v1alpha1\nkind: MediaClass\nmetadata: {name: unserved}\n" +
		"spec: {pools: {relay: {exposure: {advertise: [media.example.com]}}}}\n"
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	out, err := c.Kubectl(t, "apply", "--dry-run=server", "-f", file)
	if err != nil {
		t.Fatalf("refused: %v\n%s", err, out)
	}
	for _, want := range []string{"Warning: spec.notify: ", "Warning: spec.pools.relay.exposure.advertise[0]: "} {
		if !strings.Contains(out, want) {
			t.Errorf("kubectl does not print %q:\n%s", want, out)
		}
	}
}

// With the webhook down, and failing closed, nothing is stuck: objects can be deleted, finalizers taken away and status
// written.
func TestNothingIsStuckWhileTheWebhookIsDown(t *testing.T) {
	c := installed(t)
	p := run(t, c)
	waitEnforced(t, c)
	wantDefaultClass(t, c)
	ns := c.Namespace(t, nil)
	object := domain(ns, "push", "push.down.example.com")
	object.Finalizers = []string{"example.com/test"}
	c.Make(t, object)
	p.stop(t)

	if err := c.Create(t.Context(), domain(ns, "other", "other.down.example.com")); err == nil {
		t.Fatal("an object was created: the webhook is not down, or does not fail closed")
	}
	again := func(what string, change func(o *v1alpha1.PushDomain) error) {
		t.Helper()
		testkit.Succeeds(t, func() error {
			if err := c.Get(t.Context(), client.ObjectKeyFromObject(object), object); err != nil {
				return err
			}
			return change(object)
		})
		t.Logf("%s works", what)
	}
	again("a status update", func(o *v1alpha1.PushDomain) error {
		o.Status.Streams.Live = 1
		return c.Status().Update(t.Context(), o)
	})
	again("a label", func(o *v1alpha1.PushDomain) error {
		o.Labels = map[string]string{"a": "b"}
		return c.Update(t.Context(), o)
	})
	if err := c.Delete(t.Context(), object); err != nil {
		t.Errorf("the object cannot be deleted: %v", err)
	}
	again("the end of a finalizer", func(o *v1alpha1.PushDomain) error {
		o.Finalizers = nil
		return c.Update(t.Context(), o)
	})
	if err := c.Get(t.Context(), client.ObjectKeyFromObject(object), object); !apierrors.IsNotFound(err) {
		t.Errorf("the object is still there: %v", err)
	}
}

// Both replicas have their own certificate of the one CA, so the API server may call either; when the leader ends, the
// other one leads.
func TestTwoReplicas(t *testing.T) {
	c := installed(t)
	first := run(t, c, "--default-class", classFile(t))
	waitEnforced(t, c)
	second := run(t, c, "--default-class", classFile(t))
	first.stop(t)
	waitEnforced(t, c) // the second has written its own URL into the configuration
	if err := second.ready(t.Context()); err != nil {
		t.Errorf("the second replica is not ready: %v", err)
	}
}

// A new CA comes into use while the webhook is asked all the time.
func TestTheCARotatesUnderLoad(t *testing.T) {
	c := installed(t)
	run(t, c, "--default-class", classFile(t), "--ca-overlap", "2s")
	waitEnforced(t, c)
	key := client.ObjectKey{Namespace: "millrace-system", Name: "millrace-webhook-ca"}
	var secret corev1.Secret
	if err := c.Get(t.Context(), key, &secret); err != nil {
		t.Fatal(err)
	}
	old := bytes.Clone(secret.Data["tls.crt"])
	testkit.Succeeds(t, func() error {
		if err := c.Get(t.Context(), key, &secret); err != nil {
			return err
		}
		if secret.Annotations == nil {
			secret.Annotations = map[string]string{}
		}
		secret.Annotations[pki.AnnotationRotate] = "now"
		return c.Update(t.Context(), &secret)
	})
	asked := 0
	testkit.SucceedsWithin(t, 4*time.Minute, func() error {
		asked++
		if err := admission.SelfTest(t.Context(), c, "default"); err != nil {
			t.Fatalf("the webhook did not answer in the middle of the rotation: %v", err)
		}
		if err := c.Get(t.Context(), key, &secret); err != nil {
			return err
		}
		if bytes.Equal(secret.Data["tls.crt"], old) {
			return errNotYet
		}
		return nil
	})
	there, err := webhookConfiguration(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	certs, err := pki.ParseCertificates(there.Webhooks[0].ClientConfig.CABundle)
	if err != nil || len(certs) != 2 {
		t.Errorf("caBundle holds %d CAs (%v), want the old one and the new one", len(certs), err)
	}
	for range 20 {
		if err := admission.SelfTest(t.Context(), c, "default"); err != nil {
			t.Fatalf("the webhook does not answer after the rotation: %v", err)
		}
	}
	t.Logf("asked %d times", asked)
}
