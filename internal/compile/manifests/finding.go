// Package manifests reads API objects from files, checks them by their CRDs and compiles them, with the line of every
// finding. It is what "millrace validate" and "millrace standalone" have in common.
package manifests

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/millrace/millrace/api/v1alpha1"
)

// Severity of a finding.
type Severity string

// The severities. Only an Error makes manifests unfit.
const (
	Error   Severity = "Error"
	Warning Severity = "Warning"
)

// Reasons of findings that come from a file itself. All others are the reasons of conditions.
const (
	// ReasonUnreadable says that a file cannot be read or is not YAML.
	ReasonUnreadable v1alpha1.Reason = "Unreadable"
	// ReasonSchema says that an object breaks a rule of its CRD.
	ReasonSchema v1alpha1.Reason = "Schema"
	// ReasonNotOurs says that an object is of a kind that is not looked at.
	ReasonNotOurs v1alpha1.Reason = "NotOurs"
	// ReasonIgnoredField says that a field of a sub is void.
	ReasonIgnoredField v1alpha1.Reason = "IgnoredField"
)

// Finding is one thing that is wrong, or strange, in a file.
type Finding struct {
	File      string          `json:"file"`
	Line      int             `json:"line,omitempty"` // from 1; 0: the file as a whole
	Kind      string          `json:"kind,omitempty"`
	Namespace string          `json:"namespace,omitempty"`
	Name      string          `json:"name,omitempty"`
	Field     string          `json:"field,omitempty"` // such as spec.hostname
	Severity  Severity        `json:"severity"`
	Reason    v1alpha1.Reason `json:"reason"`
	Message   string          `json:"message"`

	order int // of the file
}

// String prints "file:line: kind/name: field: message", without the parts that are not known.
func (f Finding) String() string {
	var parts []string
	if f.Line > 0 {
		parts = append(parts, fmt.Sprintf("%s:%d", f.File, f.Line))
	} else {
		parts = append(parts, f.File)
	}
	switch {
	case f.Kind != "" && f.Name != "":
		parts = append(parts, f.Kind+"/"+f.Name)
	case f.Kind != "":
		parts = append(parts, f.Kind)
	}
	if f.Field != "" {
		parts = append(parts, f.Field)
	}
	if f.Severity == Warning {
		parts = append(parts, "warning")
	}
	return strings.Join(append(parts, f.Message), ": ")
}

// Errors counts the findings that are errors.
func Errors(findings []Finding) int {
	n := 0
	for _, f := range findings {
		if f.Severity == Error {
			n++
		}
	}
	return n
}

// Broken reports whether a file could not be read or an object is not valid on its own, so that nobody should act on
// the set: the objects that are missing from it would look deleted.
func Broken(findings []Finding) bool {
	return slices.ContainsFunc(findings, func(f Finding) bool {
		return f.Severity == Error && (f.Reason == ReasonUnreadable || f.Reason == ReasonSchema)
	})
}

func sortFindings(findings []Finding) {
	slices.SortStableFunc(findings, func(a, b Finding) int {
		return cmp.Or(cmp.Compare(a.order, b.order), cmp.Compare(a.Line, b.Line), cmp.Compare(a.Field, b.Field))
	})
}
