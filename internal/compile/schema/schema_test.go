package schema_test

import (
	"io/fs"
	"strings"
	"testing"

	"k8s.io/apiextensions-apiserver/pkg/apis/apiextensions"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	structural "k8s.io/apiextensions-apiserver/pkg/apiserver/schema"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/schema/defaulting"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	utiljson "k8s.io/apimachinery/pkg/util/json"
	"k8s.io/apimachinery/pkg/util/validation/field"
	"sigs.k8s.io/yaml"

	"github.com/millrace/millrace/config"
	"github.com/millrace/millrace/internal/compile/schema"
	"github.com/millrace/millrace/internal/compile/schema/cases"
)

// TestCRDsAreValid checks what the API server checks when a CRD is created: structure, and defaults that obey the rules
// of their fields.
func TestCRDsAreValid(t *testing.T) {
	paths, err := fs.Glob(config.CRDs, "crd/bases/*.yaml")
	if err != nil || len(paths) != 7 {
		t.Fatalf("there are %d CRDs (%v), want 7", len(paths), err)
	}
	for _, path := range paths {
		text, err := fs.ReadFile(config.CRDs, path)
		if err != nil {
			t.Fatal(err)
		}
		if len(text) >= 100<<10 {
			t.Errorf("%s has %d bytes, which is too large for kubectl apply and for Helm", path, len(text))
		}
		var crd apiextensionsv1.CustomResourceDefinition
		if err := yaml.UnmarshalStrict(text, &crd); err != nil {
			t.Fatalf("%s: %v", path, err)
		}
		var props apiextensions.JSONSchemaProps
		if err := apiextensionsv1.Convert_v1_JSONSchemaProps_To_apiextensions_JSONSchemaProps(
			crd.Spec.Versions[0].Schema.OpenAPIV3Schema, &props, nil); err != nil {
			t.Fatalf("%s: %v", path, err)
		}
		s, err := structural.NewStructural(&props)
		if err != nil {
			t.Fatalf("%s: %v", path, err)
		}
		for _, e := range structural.ValidateStructural(field.NewPath("schema"), s) {
			t.Errorf("%s: %v", path, e)
		}
		errs, err := defaulting.ValidateDefaults(t.Context(), field.NewPath("schema"), s, true, true)
		if err != nil {
			t.Fatalf("%s: %v", path, err)
		}
		for _, e := range errs {
			t.Errorf("%s: %v", path, e)
		}
	}
}

func newValidator(t *testing.T) *schema.Validator {
	t.Helper()
	v, err := schema.New(config.CRDs, "crd/bases")
	if err != nil {
		t.Fatal(err)
	}
	return v
}

func object(t *testing.T, text string) *unstructured.Unstructured {
	t.Helper()
	var obj map[string]any
	json, err := yaml.YAMLToJSON([]byte("apiVersion: live.millrace.dev/v1alpha1\n" + text))
	if err != nil {
		t.Fatal(err)
	}
	if err := utiljson.Unmarshal(json, &obj); err != nil {
		t.Fatal(err)
	}
	return &unstructured.Unstructured{Object: obj}
}

// TestRules has each rule of the CRDs, kept and broken. An empty want means valid.
func TestRules(t *testing.T) {
	v := newValidator(t)
	for _, tc := range cases.Rules() {
		t.Run(tc.Name, func(t *testing.T) {
			var fields []string
			errs := v.Check(t.Context(), object(t, tc.Text))
			for _, e := range errs {
				fields = append(fields, e.Field)
			}
			if got := strings.Join(fields, " "); got != tc.Want {
				t.Errorf("errors at %q, want %q: %v", got, tc.Want, errs)
			}
		})
	}
}

// TestIdentityIsImmutable changes what must not be changed, and what may.
func TestIdentityIsImmutable(t *testing.T) {
	v := newValidator(t)
	for _, tc := range cases.Changes() {
		t.Run(tc.Name, func(t *testing.T) {
			old, changed := object(t, tc.Object), strings.Replace(tc.Object, tc.From, tc.To, 1)
			new := object(t, changed)
			for _, obj := range []*unstructured.Unstructured{old, new} {
				if errs := v.Check(t.Context(), obj); len(errs) > 0 {
					t.Fatalf("the case itself is not valid: %v", errs)
				}
			}
			if errs := v.CheckUpdate(t.Context(), old, old); len(errs) > 0 {
				t.Errorf("nothing changed: %v", errs)
			}
			var fields []string
			errs := v.CheckUpdate(t.Context(), old, new)
			for _, e := range errs {
				fields = append(fields, e.Field)
			}
			if got := strings.Join(fields, " "); got != tc.Want {
				t.Errorf("errors at %q, want %q: %v", got, tc.Want, errs)
			}
		})
	}
}

// TestDefaults checks that Check fills in what the CRDs say.
func TestDefaults(t *testing.T) {
	v := newValidator(t)
	for _, tc := range []struct{ text, want string }{
		{cases.Push, "auth: {type: None, validitySeconds: 1800}\nclassName: default\nduplicatePublish: " +
			"RejectNew\nhostname: push.example.com\nsource: {bFrames: Warn, h265: Warn, maxGOPMilliseconds: 3000}\nstate: " +
			"Online\n"},
		{cases.Play, "auth: {type: None, validitySeconds: 1800}\nclassName: default\nhostname: play.example.com\nstate: " +
			"Online\ntype: RTS\n"},
		{cases.Play + "  rts: {}\n", "auth: {type: None, validitySeconds: 1800}\nclassName: default\nhostname: " +
			"play.example.com\nrts: {autoRepair: Disabled, fallback: Redirect}\nstate: Online\ntype: RTS\n"},
		{cases.Template, "audio: {codec: Opus}\nplayDomainRef: {name: m}\ntemplateID: low\ntrigger: OnDemand\ntype: " +
			"H264Origin\nvideo: {bFrames: Drop, gopMilliseconds: 2000}\n"},
	} {
		obj := object(t, tc.text)
		if errs := v.Check(t.Context(), obj); len(errs) > 0 {
			t.Fatal(errs)
		}
		var want any
		if err := yaml.Unmarshal([]byte(tc.want), &want); err != nil {
			t.Fatal(err)
		}
		got, _ := yaml.Marshal(obj.Object["spec"])
		wanted, _ := yaml.Marshal(want)
		if string(got) != string(wanted) {
			t.Errorf("got\n%swant\n%s", got, wanted)
		}
	}
	obj := object(t, cases.Class)
	if errs := v.Check(t.Context(), obj); len(errs) > 0 {
		t.Fatal(errs)
	}
	drain, _, _ := unstructured.NestedInt64(obj.Object, "spec", "pools", "transcoder", "drainSeconds")
	exposure, _, _ := unstructured.NestedString(obj.Object, "spec", "pools", "relay", "exposure", "type")
	claims, _, _ := unstructured.NestedString(obj.Object, "spec", "claims")
	if drain != 540 || exposure != "HostPort" || claims != "Always" {
		t.Errorf("a class without spec has drainSeconds %d, exposure %q, claims %q", drain, exposure, claims)
	}
}

func TestClosest(t *testing.T) {
	fields := []string{"auth", "className", "duplicatePublish", "hostname", "limits", "tls"}
	for name, want := range map[string]string{
		"hostnam": "hostname", "hostName": "hostname", "duplicatepublish": "duplicatePublish", "classname": "className",
		"limit": "limits",
		"tsl":   "tls", "zzz": "", "": "", "somethingElseEntirely": "",
	} {
		if got := schema.Closest(name, fields); got != want {
			t.Errorf("Closest(%q) = %q, want %q", name, got, want)
		}
	}
}
