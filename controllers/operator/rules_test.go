package operator_test

import (
	"fmt"
	"strings"
	"testing"

	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/millrace/millrace/api/v1alpha1"
	"github.com/millrace/millrace/controllers/admission"
	"github.com/millrace/millrace/controllers/envtest"
	"github.com/millrace/millrace/internal/testkit"
)

func meta(name string) metav1.ObjectMeta { return metav1.ObjectMeta{Name: name} }

// Every rule between objects, kept and broken: the webhook refuses what breaks one, and with the webhook removed the
// reconcilers give the object a condition with the same reason.
func TestRules(t *testing.T) {
	c := installed(t)
	removeWebhook(t, c)
	run(t, c)
	wantDefaultClass(t, c)
	for _, class := range classes() {
		if err := c.Create(t.Context(), class); err != nil && !apierrors.IsAlreadyExists(err) {
			t.Fatal(err)
		}
	}
	table := rules()
	if len(table) < 60 {
		t.Errorf("there are %d cases, want 60 or more", len(table))
	}
	worlds := make([]world, len(table))
	for i, r := range table {
		worlds[i] = newWorld(t, c, i, r)
		for _, o := range r.given(worlds[i]) {
			if err := c.Create(t.Context(), o); err != nil {
				t.Fatalf("%s: create %s: %v", r.name, o.GetName(), err)
			}
		}
	}
	for i, r := range table {
		for _, o := range r.given(worlds[i]) {
			settle(t, c, r.name, o)
		}
	}

	installed(t)
	waitEnforced(t, c)
	for i, r := range table {
		t.Run("webhook/"+r.name, func(t *testing.T) {
			wantAnswer(t, bring(t, c, r.candidate(worlds[i]), client.DryRunAll), r.want, worlds[i])
		})
	}

	removeWebhook(t, c)
	for i, r := range table {
		if err := bring(t, c, r.candidate(worlds[i])); err != nil {
			t.Fatalf("%s: without the webhook: %v", r.name, err)
		}
	}
	for i, r := range table {
		t.Run("guard/"+r.name, func(t *testing.T) { wantCondition(t, c, r.candidate(worlds[i]), r.want, worlds[i]) })
	}
}

// removeWebhook deletes the configuration by hand and waits until the API server has noticed.
func removeWebhook(t *testing.T, c *envtest.Cluster) {
	t.Helper()
	configuration := &admissionregistrationv1.ValidatingWebhookConfiguration{ObjectMeta: meta(admission.ConfigurationName)}
	if err := c.Delete(t.Context(), configuration); err != nil && !apierrors.IsNotFound(err) {
		t.Fatal(err)
	}
	testkit.Succeeds(t, func() error {
		bad := push("default", "probe", "probe.webhook.example.com", "nowhere")
		return c.Create(t.Context(), bad, client.DryRunAll)
	})
}

func newWorld(t *testing.T, c *envtest.Cluster, i int, r rule) world {
	t.Helper()
	w := world{
		own:    fmt.Sprintf("rule-%d", i),
		other:  fmt.Sprintf("rule-%d-other", i),
		suffix: fmt.Sprintf("r%d.example.com", i),
	}
	own := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: w.own, Labels: r.labels}}
	if r.suffixes != "" {
		own.Annotations = map[string]string{v1alpha1.AnnotationAllowedSuffixes: r.suffixes}
	}
	c.Make(t, own, &corev1.Namespace{ObjectMeta: meta(w.other)})
	return w
}

// bring creates an object, or changes the one of its name.
func bring(t *testing.T, c *envtest.Cluster, o client.Object, opts ...client.CreateOption) error {
	t.Helper()
	there := o.DeepCopyObject().(client.Object)
	if err := c.Get(t.Context(), client.ObjectKeyFromObject(o), there); apierrors.IsNotFound(err) {
		return c.Create(t.Context(), o, opts...)
	} else if err != nil {
		t.Fatal(err)
	}
	patch := client.MergeFrom(there.DeepCopyObject().(client.Object))
	switch o := o.(type) {
	case *v1alpha1.PushDomain:
		there.(*v1alpha1.PushDomain).Spec.ClassName = o.Spec.ClassName
	case *v1alpha1.PlayDomain:
		there.(*v1alpha1.PlayDomain).Spec.ClassName = o.Spec.ClassName
	case *v1alpha1.RTSTranscodeTemplate:
		there.(*v1alpha1.RTSTranscodeTemplate).Spec.Apps = o.Spec.Apps
	default:
		t.Fatalf("%T is there already and cannot be changed", o)
	}
	if len(opts) > 0 {
		return c.Patch(t.Context(), there, patch, client.DryRunAll)
	}
	return c.Patch(t.Context(), there, patch)
}

// wantAnswer checks what the API server says to a candidate.
func wantAnswer(t *testing.T, err error, want v1alpha1.Reason, w world) {
	t.Helper()
	switch {
	case want == "" && err != nil:
		t.Errorf("refused: %v", err)
	case want == "":
	case !refusedFor(err, want):
		t.Errorf("the answer is %v, want a refusal for %s", err, want)
	case !strings.Contains(err.Error(), admission.WebhookName):
		t.Errorf("not refused by the webhook: %v", err)
	case strings.Contains(err.Error(), w.other):
		t.Errorf("the message names another namespace: %v", err)
	}
}
