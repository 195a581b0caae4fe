package admission

import (
	"context"
	"fmt"
	"slices"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/millrace/millrace/api/v1alpha1"
	"github.com/millrace/millrace/internal/compile"
)

// decision is what is said about a candidate.
type decision struct {
	refusals []compile.Problem
	warnings []string
}

// judge compiles a candidate among what is there. An update is refused only for problems that it brings: an object that
// breaks a rule already, because something around it has changed, can still be edited.
func judge(ctx context.Context, r reads, candidate, old client.Object) (decision, error) {
	g := gathering{reads: r}
	if err := g.around(ctx, candidate, old == nil); err != nil {
		return decision{}, err
	}
	if old == nil {
		// Whatever is there was first. The candidate may carry a time already, in whole seconds, and so be taken for as old
		// as others.
		candidate = candidate.DeepCopyObject().(client.Object)
		candidate.SetCreationTimestamp(metav1.NewTime(time.Date(9999, 1, 1, 0, 0, 0, 0, time.UTC)))
		return say(problems(g.input, candidate), nil), nil
	}
	return say(problems(g.input, candidate), problems(g.input, old)), nil
}

// say keeps what is new among the problems of a candidate.
func say(now, before []compile.Problem) decision {
	var d decision
	for _, p := range now {
		known := slices.ContainsFunc(before, func(b compile.Problem) bool {
			return b.Condition == p.Condition && b.Reason == p.Reason && b.Field == p.Field
		})
		switch {
		case known, aboutSecrets(p.Reason):
		case p.Condition == v1alpha1.ConditionAccepted:
			d.refusals = append(d.refusals, p)
		default:
			d.warnings = append(d.warnings, fmt.Sprintf("%s: %s", p.Field, p.Message))
		}
	}
	return d
}

// aboutSecrets tells problems that only follow from Secrets, which are not read here: they may come after the objects
// that name them.
func aboutSecrets(r v1alpha1.Reason) bool {
	return r == v1alpha1.ReasonSecretNotFound || r == v1alpha1.ReasonSecretInvalid
}

// problems compiles an input with one more object and gives what is wrong with that.
func problems(in compile.Input, object client.Object) []compile.Problem {
	kind := ""
	switch o := object.(type) {
	case *v1alpha1.PushDomain:
		kind, in.PushDomains = v1alpha1.KindPushDomain, with(in.PushDomains, *o)
	case *v1alpha1.PlayDomain:
		kind, in.PlayDomains = v1alpha1.KindPlayDomain, with(in.PlayDomains, *o)
	case *v1alpha1.DomainAssociation:
		kind, in.Associations = v1alpha1.KindDomainAssociation, with(in.Associations, *o)
	case *v1alpha1.RTSTranscodeTemplate:
		kind, in.Templates = v1alpha1.KindRTSTranscodeTemplate, with(in.Templates, *o)
	case *v1alpha1.MediaClass:
		kind, in.Classes = v1alpha1.KindMediaClass, with(in.Classes, *o)
	}
	for _, verdict := range compile.Compile(in).Verdicts {
		if verdict.Kind == kind && verdict.Namespace == object.GetNamespace() && verdict.Name == object.GetName() {
			return verdict.Problems
		}
	}
	return nil
}

// with replaces the object of the same name in a list, or adds it. The list itself stays as it is.
func with[T any, P object[T]](list []T, o T) []T {
	key := client.ObjectKeyFromObject(P(&o))
	out := slices.DeleteFunc(
		slices.Clone(list),
		func(other T) bool { return client.ObjectKeyFromObject(P(&other)) == key },
	)
	return append(out, o)
}
