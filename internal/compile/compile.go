// Package compile turns API objects into Plans and verdicts. It is a pure function: no client, no clock, no globals.
// The operator, the admission webhooks, "millrace validate" and "millrace standalone" all call it, so each rule that
// looks at more than one object exists once, here. Rules that look at one object alone are in the CRDs.
package compile

import (
	"cmp"
	"slices"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/millrace/millrace/api/v1alpha1"
	"github.com/millrace/millrace/internal/contract/plan"
)

// Input is all that there is. Objects are expected to have their defaults and to have passed their CRD. The order of
// the lists does not matter: older objects come first (creationTimestamp, then namespace and name).
type Input struct {
	PushDomains  []v1alpha1.PushDomain
	PlayDomains  []v1alpha1.PlayDomain
	Associations []v1alpha1.DomainAssociation
	Templates    []v1alpha1.RTSTranscodeTemplate
	Classes      []v1alpha1.MediaClass
	Claims       []v1alpha1.DomainClaim
	// Secrets that the objects refer to; others are not looked at.
	Secrets []corev1.Secret
	// Namespaces of the objects, for their labels and annotations. One that is absent has no labels but its name.
	Namespaces []corev1.Namespace
	// BoundOnly accepts a domain only when the claim of its hostname names it, and an association only when the claim of
	// its child names it. Without it, claims that are not made yet are taken as made. The operator sets it: what it serves
	// is locked first.
	BoundOnly bool
	// Pairs of Compiles before this one; nil: every certificate is parsed.
	Pairs *Pairs `json:"-"`
}

// Output is what follows from an Input.
type Output struct {
	// Plans has one Plan for each accepted class, sorted by class.
	Plans []*plan.Plan `json:"plans"`
	// Verdicts has one Verdict for each object, sorted by kind, namespace and name.
	Verdicts []Verdict `json:"verdicts"`
}

// Compile decides about every object and makes the Plan of each class.
//
// An object that is rejected reserves nothing: neither its hostname, nor its place in an association, nor its template
// id.
func Compile(in Input) Output {
	c := &compiler{
		classes:    classes(in.Classes),
		claims:     claims(in.Claims),
		secrets:    secrets(in.Secrets),
		namespaces: namespaces(in.Namespaces),
		push:       map[ref]*domain{},
		play:       map[ref]*domain{},
		owners:     map[string]*domain{},
		claimants:  map[string]*domain{},
		boundOnly:  in.BoundOnly,
		byID:       map[templateKey][]*template{},
		graph:      newGraph(),
		pairs:      in.Pairs,
	}
	if c.pairs == nil {
		c.pairs = NewPairs()
	}
	c.decideDomains(in.PushDomains, in.PlayDomains)
	associations := sorted(
		in.Associations,
		func(a *v1alpha1.DomainAssociation) *metav1.ObjectMeta { return &a.ObjectMeta },
	)
	// The incumbents first: creation times have whole seconds, and whoever is written on the claim of the child has it.
	slices.SortStableFunc(
		associations,
		func(a, b *v1alpha1.DomainAssociation) int { return cmp.Compare(c.rank(a), c.rank(b)) },
	)
	for _, a := range associations {
		c.decideAssociation(a)
	}
	c.assignRoles()
	templates := sorted(in.Templates, func(t *v1alpha1.RTSTranscodeTemplate) *metav1.ObjectMeta { return &t.ObjectMeta })
	for _, t := range templates {
		c.decideTemplate(t)
	}
	return Output{Plans: c.plans(), Verdicts: c.verdicts()}
}

// compiler is the state of one Compile.
type compiler struct {
	classes    map[string]*class
	claims     map[string]*v1alpha1.DomainClaim
	secrets    map[ref]*corev1.Secret
	namespaces map[string]*corev1.Namespace

	domains []*domain // oldest first
	push    map[ref]*domain
	play    map[ref]*domain
	owners  map[string]*domain // of accepted domains, by hostname
	graph   graph

	pairs     *Pairs
	boundOnly bool
	claimants map[string]*domain // with boundOnly: domains that may make the claim of a hostname

	associations []*association
	templates    []*template
	byID         map[templateKey][]*template
}

// ref names an object of a known kind.
type ref struct{ namespace, name string }

func refOf(m *metav1.ObjectMeta) ref { return ref{m.Namespace, m.Name} }

// older orders objects by age, then by namespace and name.
func older(a, b *metav1.ObjectMeta) int {
	return cmp.Or(
		a.CreationTimestamp.Compare(b.CreationTimestamp.Time),
		cmp.Compare(a.Namespace, b.Namespace),
		cmp.Compare(a.Name, b.Name),
	)
}

func sorted[T any](objects []T, meta func(*T) *metav1.ObjectMeta) []*T {
	out := make([]*T, len(objects))
	for i := range objects {
		out[i] = &objects[i]
	}
	slices.SortStableFunc(out, func(a, b *T) int { return older(meta(a), meta(b)) })
	return out
}

// Plan returns the Plan of a class; nil when there is no such class.
func (o Output) Plan(class string) *plan.Plan {
	for _, p := range o.Plans {
		if p.Class == class {
			return p
		}
	}
	return nil
}

// OnePlan joins the Plans of all classes, for a process that serves them all. Hostnames are unique over all classes, so
// nothing collides. The class of the result is always "all": a class that comes or goes does not make it another Plan.
func (o Output) OnePlan() *plan.Plan {
	all := &plan.Plan{Class: "all"}
	for _, p := range o.Plans {
		all.Push = append(all.Push, p.Push...)
		all.Play = append(all.Play, p.Play...)
		all.Templates = append(all.Templates, p.Templates...)
	}
	sortPlan(all)
	return all
}
