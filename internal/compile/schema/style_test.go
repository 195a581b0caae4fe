package schema_test

import (
	"io/fs"
	"strings"
	"testing"

	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	"sigs.k8s.io/yaml"

	"github.com/millrace/millrace/config"
)

// TestFieldsAreBoundedAndDescribed walks all fields of all kinds: each has a description that begins with its name,
// each string a maximum length or a set of values, each list a maximum and a list type, each number a range.
func TestFieldsAreBoundedAndDescribed(t *testing.T) {
	paths, err := fs.Glob(config.CRDs, "crd/bases/*.yaml")
	if err != nil || len(paths) == 0 {
		t.Fatalf("no CRDs: %v", err)
	}
	for _, path := range paths {
		text, err := fs.ReadFile(config.CRDs, path)
		if err != nil {
			t.Fatal(err)
		}
		var crd apiextensionsv1.CustomResourceDefinition
		if err := yaml.UnmarshalStrict(text, &crd); err != nil {
			t.Fatal(err)
		}
		if len(crd.Spec.Names.ShortNames) != 1 || len(crd.Spec.Names.Categories) != 1 ||
			crd.Spec.Names.Categories[0] != "millrace" {
			t.Errorf(
				"%s: short names %v and categories %v: want one short name and the category millrace",
				crd.Name,
				crd.Spec.Names.ShortNames,
				crd.Spec.Names.Categories,
			)
		}
		version := crd.Spec.Versions[0]
		if version.Subresources == nil || version.Subresources.Status == nil {
			t.Errorf("%s: no status subresource", crd.Name)
		}
		root := version.Schema.OpenAPIV3Schema
		generation := root.Properties["status"].Properties["observedGeneration"]
		if generation.Default == nil || string(generation.Default.Raw) != "-1" {
			t.Errorf("%s: status.observedGeneration has no default of -1", crd.Name)
		}
		for _, part := range []string{"spec", "status"} {
			schema := root.Properties[part]
			wantBounded(t, crd.Spec.Names.Kind+"."+part, part, &schema)
		}
	}
}

func wantBounded(t *testing.T, path, name string, s *apiextensionsv1.JSONSchemaProps) {
	t.Helper()
	switch name {
	case "resources", "tolerations", "namespaceSelector", "conditions": // Kubernetes' own types
		return
	}
	if name != "" && !strings.HasPrefix(s.Description, name) {
		t.Errorf("%s: the description does not begin with the name: %q", path, s.Description)
	}
	switch s.Type {
	case "string":
		if s.MaxLength == nil && len(s.Enum) == 0 && s.Format != "date-time" {
			t.Errorf("%s: a string without a maximum length or a set of values", path)
		}
	case "integer":
		if strings.Contains(path, ".spec.") && (s.Minimum == nil || s.Maximum == nil) && len(s.Enum) == 0 {
			t.Errorf("%s: a number without a range", path)
		}
	case "array":
		if s.MaxItems == nil || s.XListType == nil {
			t.Errorf("%s: a list without a maximum or a list type", path)
		}
		wantBounded(t, path+"[]", "", s.Items.Schema)
	case "boolean":
		t.Errorf("%s: a boolean: use an enum, which can grow", path)
	}
	for child, field := range s.Properties {
		wantBounded(t, path+"."+child, child, &field)
	}
}
