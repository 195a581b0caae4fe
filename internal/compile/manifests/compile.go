package manifests

import (
	"slices"
	"strings"

	"github.com/millrace/millrace/api/v1alpha1"
	"github.com/millrace/millrace/internal/compile"
)

// CompileDir loads manifests as Load does and compiles them. Findings hold both what the files and what the verdicts
// say. When the files have no MediaClass, the built-in one named default is used, which grants RTS to all.
//
// Callers that run what they get should keep what they have when Broken(findings).
func CompileDir(paths []string) (compile.Output, Set, []Finding) {
	set, findings := Load(paths)
	out, more := set.Compile()
	findings = append(findings, more...)
	sortFindings(findings)
	return out, set, findings
}

// Compile compiles the valid objects of a set and turns the verdicts into findings.
func (s Set) Compile() (compile.Output, []Finding) {
	in := s.Input
	invalid := map[compile.Object]bool{}
	classes := 0
	for _, o := range s.Objects {
		if !o.Valid {
			invalid[o.Object] = true
		}
		if o.Kind == v1alpha1.KindMediaClass {
			classes++
		}
	}
	if classes == 0 {
		in.Classes = []v1alpha1.MediaClass{compile.DefaultClass()}
	}
	out := compile.Compile(in)

	byObject := map[compile.Object]Object{}
	for _, o := range s.Objects {
		byObject[o.Object] = o
	}
	// While an association is wrong, what lacks one is no news.
	unsettled := slices.ContainsFunc(out.Verdicts, func(v compile.Verdict) bool {
		return v.Kind == v1alpha1.KindDomainAssociation && len(v.Problems) > 0
	}) || slices.ContainsFunc(s.Objects, func(o Object) bool {
		return o.Kind == v1alpha1.KindDomainAssociation &&
			!o.Valid
	})
	var b builder
	for _, v := range out.Verdicts {
		o, ok := byObject[compile.Object{Kind: v.Kind, Namespace: v.Namespace, Name: v.Name}]
		if !ok {
			continue
		}
		for _, p := range v.Problems {
			if follows(p, invalid) || p.Reason == v1alpha1.ReasonPlayDomainNotAssociated && unsettled {
				continue
			}
			b.report(o, p.Field, severity(p.Reason), p.Reason, p.Message)
		}
		for _, field := range v.IgnoredFields {
			b.report(
				o,
				field,
				Warning,
				ReasonIgnoredField,
				"is void on a sub, which inherits it from its main: remove it, or set it on the main",
			)
		}
	}
	return out, b.findings
}

// follows reports whether a problem only follows from another finding: from an object that is not valid or not
// accepted.
func follows(p compile.Problem, invalid map[compile.Object]bool) bool {
	return p.Of != nil && invalid[*p.Of] || strings.HasSuffix(string(p.Reason), "NotAccepted") ||
		p.Reason == v1alpha1.ReasonClassInvalid
}

// severity is Warning for what is often so by intention (Secrets are seldom kept beside
// manifests), and for fields that wait for what serves them.
func severity(r v1alpha1.Reason) Severity {
	switch r {
	case v1alpha1.ReasonSecretNotFound, v1alpha1.ReasonPlayDomainNotAssociated, v1alpha1.ReasonTerminating,
		v1alpha1.ReasonNotServedYet:
		return Warning
	}
	return Error
}
