package manifests

import (
	"errors"
	"fmt"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/millrace/millrace/internal/compile/schema"
)

// describe says what is wrong with a field in words for the person who wrote it.
func describe(e *field.Error) string {
	switch e.Type {
	case field.ErrorTypeRequired:
		if e.Detail == "" {
			return "is required"
		}
		return e.Detail
	case field.ErrorTypeNotSupported:
		near := ""
		if bad, ok := e.BadValue.(string); ok {
			near = schema.Closest(bad, quoted(e.Detail))
		}
		if near != "" {
			return fmt.Sprintf("%q is not supported, did you mean %s? %s", e.BadValue, near, e.Detail)
		}
		return strings.TrimSpace(fmt.Sprintf("%s is not supported: %s", scalar(e.BadValue), e.Detail))
	case field.ErrorTypeTypeInvalid:
		return strings.Replace(strings.ReplaceAll(e.Detail, `"`, ""), ": ", ", not ", 1)
	case field.ErrorTypeDuplicate:
		return fmt.Sprintf("%s is given twice", scalar(e.BadValue))
	case field.ErrorTypeTooLong, field.ErrorTypeTooMany, field.ErrorTypeForbidden:
		return e.Detail
	default:
		if value := scalar(e.BadValue); value != "" {
			return value + ": " + e.Detail
		}
		return e.Detail
	}
}

// scalar prints a value that fits into a line; "" for others.
func scalar(value any) string {
	switch v := value.(type) {
	case string:
		if v == "" || v == "object" || v == "array" {
			return ""
		}
		if len(v) > 80 {
			v = v[:77] + "..."
		}
		return fmt.Sprintf("%q", v)
	case int64, float64, bool, int:
		return fmt.Sprint(v)
	}
	return ""
}

// quoted takes the values out of a detail such as: supported values: "A", "B".
func quoted(detail string) []string {
	var out []string
	for i, part := range strings.Split(detail, `"`) {
		if i%2 == 1 {
			out = append(out, part)
		}
	}
	return out
}

// unknownMeta finds what is not a field of metadata, or not of its type.
func unknownMeta(obj *unstructured.Unstructured) []string {
	meta, _ := obj.Object["metadata"].(map[string]any)
	var typed metav1.ObjectMeta
	err := runtime.DefaultUnstructuredConverter.FromUnstructuredWithValidation(meta, &typed, true)
	if err == nil {
		return nil
	}
	var strict interface{ Errors() []error }
	if !errors.As(err, &strict) {
		return []string{err.Error()}
	}
	var out []string
	for _, e := range strict.Errors() {
		out = append(out, e.Error())
	}
	return out
}
