package main

import (
	"fmt"
	"slices"
	"strings"

	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
)

// table collects the rows and the rules of one part of a kind.
type table struct {
	rows  strings.Builder
	notes strings.Builder
	seen  map[string]bool
}

// foreign are fields whose types belong to Kubernetes and are documented there.
func foreign(name string) string {
	switch name {
	case "resources":
		return "ResourceRequirements"
	case "tolerations":
		return "[]Toleration"
	case "namespaceSelector":
		return "LabelSelector"
	case "conditions":
		return "[]Condition"
	}
	return ""
}

func (t *table) walk(path string, schema *apiextensionsv1.JSONSchemaProps) {
	names := make([]string, 0, len(schema.Properties))
	for name := range schema.Properties {
		names = append(names, name)
	}
	// Required fields first: they are what a reader has to write.
	slices.SortFunc(names, func(a, b string) int {
		ra, rb := slices.Contains(schema.Required, a), slices.Contains(schema.Required, b)
		if ra != rb {
			if ra {
				return -1
			}
			return 1
		}
		return strings.Compare(a, b)
	})
	for _, name := range names {
		field := schema.Properties[name]
		at := path + "." + name
		typ := foreign(name)
		if typ == "" {
			typ = typeOf(&field)
		}
		label := "`" + strings.TrimPrefix(strings.TrimPrefix(at, "spec."), "status.") + "`"
		if slices.Contains(schema.Required, name) {
			label += " (required)"
		}
		fmt.Fprintf(
			&t.rows,
			"| %s | %s | %s | %s | %s |\n",
			label,
			typ,
			cell(bounds(&field)),
			defaultOf(&field),
			cell(field.Description),
		)
		if foreign(name) != "" {
			continue
		}
		t.rules("`"+strings.TrimPrefix(strings.TrimPrefix(at, "spec."), "status.")+"`", &field)
		inner := &field
		if field.Items != nil && field.Items.Schema != nil {
			inner, at = field.Items.Schema, at+"[]"
			t.rules("`"+strings.TrimPrefix(at, "spec.")+"`", inner)
		}
		t.walk(at, inner)
	}
}

// rules lists the CEL rules of a field. A rule that several fields have is told for each of them once.
func (t *table) rules(label string, schema *apiextensionsv1.JSONSchemaProps) {
	if t.seen == nil {
		t.seen = map[string]bool{}
	}
	for _, rule := range schema.XValidations {
		line := fmt.Sprintf("- %s: %s\n", label, rule.Message)
		if !t.seen[line] {
			t.seen[line] = true
			t.notes.WriteString(line)
		}
	}
}

func typeOf(s *apiextensionsv1.JSONSchemaProps) string {
	switch {
	case s.Type == "array" && s.Items != nil && s.Items.Schema != nil:
		return "[]" + typeOf(s.Items.Schema)
	case s.AdditionalProperties != nil && s.AdditionalProperties.Schema != nil:
		return "map of " + s.AdditionalProperties.Schema.Type
	case s.XIntOrString:
		return "integer or string"
	}
	return s.Type
}

func bounds(s *apiextensionsv1.JSONSchemaProps) string {
	var out []string
	add := func(format string, args ...any) { out = append(out, fmt.Sprintf(format, args...)) }
	enum := s.Enum
	if s.Items != nil && s.Items.Schema != nil && len(enum) == 0 {
		enum = s.Items.Schema.Enum
	}
	if len(enum) > 0 {
		values := make([]string, 0, len(enum))
		for _, v := range enum {
			values = append(values, "`"+strings.Trim(string(v.Raw), `"`)+"`")
		}
		add("%s", strings.Join(values, ", "))
	}
	switch {
	case s.Minimum != nil && s.Maximum != nil:
		add("%g to %.0f", *s.Minimum, *s.Maximum)
	case s.Minimum != nil:
		add("at least %g", *s.Minimum)
	case s.Maximum != nil:
		add("at most %.0f", *s.Maximum)
	}
	if s.MultipleOf != nil {
		add("multiple of %g", *s.MultipleOf)
	}
	if s.MaxLength != nil {
		add("at most %d characters", *s.MaxLength)
	}
	if s.Pattern != "" {
		add("`%s`", s.Pattern)
	}
	if s.MaxItems != nil {
		add("at most %d items", *s.MaxItems)
	}
	return strings.Join(out, "; ")
}

func defaultOf(s *apiextensionsv1.JSONSchemaProps) string {
	if s.Default == nil || string(s.Default.Raw) == "{}" {
		return ""
	}
	return "`" + strings.Trim(string(s.Default.Raw), `"`) + "`"
}
