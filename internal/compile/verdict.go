package compile

import (
	"cmp"
	"slices"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/millrace/millrace/api/v1alpha1"
)

// Verdict is what is decided about one object.
type Verdict struct {
	Kind      string `json:"kind"`
	Namespace string `json:"namespace,omitempty"` // empty for cluster-scoped kinds
	Name      string `json:"name"`

	// Accepted reports whether the object takes part in the configuration.
	Accepted bool `json:"accepted"`
	// Reason and Message are those of the first condition that is not True, or of Accepted.
	Reason  v1alpha1.Reason `json:"reason"`
	Message string          `json:"message"`
	// Conditions: Accepted and, for tenants' kinds, ResolvedRefs; Bound for a DomainClaim; Served while it is False.
	Conditions []Condition `json:"conditions"`
	// Problems are the single findings behind the conditions, in the order in which they were found.
	Problems []Problem `json:"problems,omitempty"`

	// Hostname of a domain.
	Hostname string `json:"hostname,omitempty"`
	// Type of a domain: Push, Standard or RTS.
	Type string `json:"type,omitempty"`
	// Role of a play domain.
	Role v1alpha1.PlayRole `json:"role,omitempty"`
	// Main is the hostname of the main play domain: that a push domain feeds, that a sub or an association or a template
	// has.
	Main string `json:"main,omitempty"`
	// Child is the hostname of the push domain or of the sub of an association.
	Child string `json:"child,omitempty"`
	// IgnoredFields are the fields of a sub that are void.
	IgnoredFields []string `json:"ignoredFields,omitempty"`
	// Owner is the domain that a DomainClaim is bound to, as Kind namespace/name.
	Owner string `json:"owner,omitempty"`

	// WantsClaim, with Input.BoundOnly: all that a domain lacks is the claim of its hostname.
	WantsClaim bool `json:"wantsClaim,omitempty"`
	// WantsBinding, with Input.BoundOnly: all that an association lacks is its name on the claim of its child.
	WantsBinding bool `json:"wantsBinding,omitempty"`
	// LosesBinding, with Input.BoundOnly: the claim of its child names an association that is rejected, and so keeps the
	// child from others. An association is bound before its main is there, so what rejects it may come later.
	LosesBinding bool `json:"losesBinding,omitempty"`
}

// Condition is a condition of status without its times.
type Condition struct {
	Type    string                 `json:"type"`
	Status  metav1.ConditionStatus `json:"status"`
	Reason  v1alpha1.Reason        `json:"reason"`
	Message string                 `json:"message"`
}

// Problem is one thing that is wrong with an object.
type Problem struct {
	// Condition that it makes False.
	Condition string          `json:"condition"`
	Reason    v1alpha1.Reason `json:"reason"`
	// Message says the remedy, and never another namespace's names.
	Message string `json:"message"`
	// Field is the path of the field that it is about, such as spec.hostname.
	Field string `json:"field,omitempty"`
	// Of is the object that a reference names, when the problem lies there.
	Of *Object `json:"of,omitempty"`
}

// Object names an object.
type Object struct {
	Kind      string `json:"kind"`
	Namespace string `json:"namespace,omitempty"`
	Name      string `json:"name"`
}

// Condition returns a condition by its type; nil when it is absent.
func (v *Verdict) Condition(conditionType string) *Condition {
	for i := range v.Conditions {
		if v.Conditions[i].Type == conditionType {
			return &v.Conditions[i]
		}
	}
	return nil
}

func (v *Verdict) reject(reason v1alpha1.Reason, field, message string) {
	v.Problems = append(
		v.Problems,
		Problem{Condition: v1alpha1.ConditionAccepted, Reason: reason, Message: message, Field: field},
	)
}

func (v *Verdict) unresolved(reason v1alpha1.Reason, field, message string, of *Object) {
	v.Problems = append(
		v.Problems,
		Problem{Condition: v1alpha1.ConditionResolvedRefs, Reason: reason, Message: message, Field: field, Of: of},
	)
}

func (v *Verdict) has(condition string) bool {
	return slices.ContainsFunc(v.Problems, func(p Problem) bool { return p.Condition == condition })
}

// conclude computes the conditions from the problems.
func (v *Verdict) conclude(good, resolved string) {
	v.Accepted = !v.has(v1alpha1.ConditionAccepted)
	v.Conditions = append(v.Conditions, v.condition(v1alpha1.ConditionAccepted, v1alpha1.ReasonAccepted, good))
	if resolved != "" {
		v.Conditions = append(
			v.Conditions,
			v.condition(v1alpha1.ConditionResolvedRefs, v1alpha1.ReasonResolvedRefs, resolved),
		)
	}
	first := v.Conditions[0]
	for _, c := range v.Conditions {
		if c.Status != metav1.ConditionTrue {
			first = c
			break
		}
	}
	v.Reason, v.Message = first.Reason, first.Message
	v.served()
}

func (v *Verdict) condition(conditionType string, reason v1alpha1.Reason, message string) Condition {
	var messages []string
	c := Condition{Type: conditionType, Status: metav1.ConditionTrue, Reason: reason, Message: message}
	for _, p := range v.Problems {
		if p.Condition != conditionType {
			continue
		}
		if len(messages) == 0 {
			c.Status, c.Reason = metav1.ConditionFalse, p.Reason
		}
		messages = append(messages, p.Message)
	}
	if len(messages) > 0 {
		c.Message = strings.Join(messages, "; ")
	}
	return c
}

// verdicts collects the verdicts of all objects.
func (c *compiler) verdicts() []Verdict {
	out := make([]Verdict, 0, len(c.domains)+len(c.associations)+len(c.templates)+len(c.classes)+len(c.claims))
	for _, d := range c.domains {
		c.concludeDomain(d)
		out = append(out, d.verdict)
	}
	for _, a := range c.associations {
		a.verdict.conclude("The association obeys all rules", "Both ends exist and are accepted")
		out = append(out, a.verdict)
	}
	for _, t := range c.templates {
		t.verdict.conclude("The template obeys all rules", "The play domain is a main")
		out = append(out, t.verdict)
	}
	for _, k := range c.classes {
		notServed(&k.verdict, k.object, unservedOfClass())
		k.verdict.conclude("The class can be used", "")
		out = append(out, k.verdict)
	}
	for _, claim := range c.claims {
		out = append(out, c.claimVerdict(claim))
	}
	slices.SortFunc(out, func(a, b Verdict) int {
		return cmp.Or(cmp.Compare(a.Kind, b.Kind), cmp.Compare(a.Namespace, b.Namespace), cmp.Compare(a.Name, b.Name))
	})
	return out
}
