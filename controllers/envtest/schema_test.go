package envtest_test

import (
	"context"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	utiljson "k8s.io/apimachinery/pkg/util/json"
	"k8s.io/apimachinery/pkg/util/validation/field"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"

	"github.com/millrace/millrace/api/v1alpha1"
	"github.com/millrace/millrace/config"
	"github.com/millrace/millrace/controllers/envtest"
	"github.com/millrace/millrace/internal/compile/schema"
	"github.com/millrace/millrace/internal/compile/schema/cases"
)

func offline(t *testing.T) *schema.Validator {
	t.Helper()
	v, err := schema.New(config.CRDs, "crd/bases")
	if err != nil {
		t.Fatal(err)
	}
	return v
}

// read makes an object in a namespace of a text without apiVersion.
func read(t *testing.T, text, namespace string) *unstructured.Unstructured {
	t.Helper()
	// The cases take place in namespace team; a claim names it in its spec too.
	text = strings.ReplaceAll(text, "namespace: team", "namespace: "+namespace)
	json, err := yaml.YAMLToJSON([]byte("apiVersion: " + v1alpha1.GroupVersion.String() + "\n" + text))
	if err != nil {
		t.Fatal(err)
	}
	var content map[string]any
	if err := utiljson.Unmarshal(json, &content); err != nil {
		t.Fatal(err)
	}
	return &unstructured.Unstructured{Object: content}
}

// What the offline check says of an object, the API server says: it takes it or not, and gives it the same defaults.
func TestTheOfflineCheckAgreesWithTheAPIServer(t *testing.T) {
	c := envtest.Need(t, cluster)
	ns := c.Namespace(t, nil)
	v := offline(t)
	if len(cases.Rules()) < 90 {
		t.Errorf("there are only %d cases", len(cases.Rules()))
	}
	for _, rule := range cases.Rules() {
		t.Run(rule.Name, func(t *testing.T) {
			here, there := read(t, rule.Text, ns), read(t, rule.Text, ns)
			errs := v.Check(t.Context(), here)
			// Status is not looked at here, and the API server drops what is sent of it; an unknown field in it would still be
			// one.
			delete(there.Object, "status")
			if there.GetNamespace() == "" && v.Namespaced(there.GetAPIVersion(), there.GetKind()) {
				return // a client cannot send it
			}
			if there.GetNamespace() != "" && !v.Namespaced(there.GetAPIVersion(), there.GetKind()) {
				return // a client sends it without the namespace, which the API server then does not miss; offline it is a mistake
			}
			err := c.Create(t.Context(), there, client.DryRunAll, client.FieldValidation("Strict"))
			if len(errs) > 0 != (err != nil) {
				t.Fatalf("offline: %v\nthe API server: %v", errs, err)
			}
			if err != nil {
				wantSameFields(t, errs, err)
				return
			}
			if diff := cmp.Diff(here.Object["spec"], there.Object["spec"]); diff != "" {
				t.Errorf("the defaults differ (-offline +API server):\n%s", diff)
			}
		})
	}
}

// wantSameFields wants that the API server names each field that the offline check complains about.
func wantSameFields(t *testing.T, errs field.ErrorList, err error) {
	t.Helper()
	for _, e := range errs {
		if e.Field == "metadata.namespace" || e.Field == "metadata.name" {
			continue // the API server sees these in the URL first, and says it in other words
		}
		if !strings.Contains(err.Error(), e.Field) {
			t.Errorf("the API server does not name %s: %v", e.Field, err)
		}
	}
}

// What must not be changed, the API server lets nobody change; what may, it does.
func TestTheAPIServerKeepsIdentityAsTheOfflineCheckDoes(t *testing.T) {
	c := envtest.Need(t, cluster)
	for _, change := range cases.Changes() {
		t.Run(change.Name, func(t *testing.T) {
			ns := c.Namespace(t, nil)
			old, changed := read(t, change.Object, ns), read(t, strings.Replace(change.Object, change.From, change.To, 1), ns)
			c.Make(t, old)
			t.Cleanup(func() { _ = c.Delete(context.WithoutCancel(t.Context()), old) })
			changed.SetResourceVersion(old.GetResourceVersion())
			changed.SetUID(old.GetUID())
			err := c.Update(t.Context(), changed, client.DryRunAll)
			if (err != nil) != (change.Want != "") {
				t.Fatalf("the API server: %v, want an error at %q", err, change.Want)
			}
			if err != nil && !strings.Contains(err.Error(), change.Want) {
				t.Errorf("the API server does not name %s: %v", change.Want, err)
			}
		})
	}
}
