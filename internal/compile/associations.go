package compile

import (
	"fmt"

	"github.com/millrace/millrace/api/v1alpha1"
)

// association is a DomainAssociation and what is decided about it.
type association struct {
	object  *v1alpha1.DomainAssociation
	verdict Verdict
	child   *domain // both set when accepted and resolved
	main    *domain
}

// graph holds the bindings of accepted associations by the names that they refer to, whether those objects exist or
// not. So a binding does not come and go with the objects at its ends, and a younger association cannot take the place
// of an older one meanwhile.
type graph struct {
	pushMain map[ref]string // push domain -> association that binds it
	subMain  map[ref]string // sub play domain -> association that binds it
	mains    map[ref]string // main play domain -> an association that makes it a main
}

func newGraph() graph {
	return graph{pushMain: map[ref]string{}, subMain: map[ref]string{}, mains: map[ref]string{}}
}

// admits decides whether an association fits to those before it.
func (g graph) admits(s *v1alpha1.DomainAssociationSpec, child, main ref) (v1alpha1.Reason, string, string, bool) {
	if s.Type == v1alpha1.PushToPlay {
		if by, bound := g.pushMain[child]; bound {
			return v1alpha1.ReasonPushDomainAlreadyAssociated, "spec.pushDomainRef.name", fmt.Sprintf(
				"PushDomain %s is already associated by %s and has one main only: delete one of the two associations",
				child.name,
				by,
			), false
		}
	} else {
		if by, bound := g.subMain[child]; bound {
			return v1alpha1.ReasonSubAlreadyAssociated, "spec.subPlayDomainRef.name", fmt.Sprintf(
					"PlayDomain %s is already a sub by %s and has one main only: delete one of the two associations", child.name, by),
				false
		}
		if by, bound := g.mains[child]; bound {
			return v1alpha1.ReasonSubIsMain, "spec.subPlayDomainRef.name", fmt.Sprintf(
				"PlayDomain %s is a main by %s and cannot become a sub: delete that association first, or use another play domain",
				child.name, by), false
		}
	}
	if by, bound := g.subMain[main]; bound {
		return v1alpha1.ReasonMainIsSub, "spec.mainPlayDomainRef.name", fmt.Sprintf(
			"PlayDomain %s is a sub by %s and cannot be a main: name its main instead", main.name, by), false
	}
	return "", "", "", true
}

func (g graph) bind(s *v1alpha1.DomainAssociationSpec, child, main ref, by string) {
	if s.Type == v1alpha1.PushToPlay {
		g.pushMain[child] = by
	} else {
		g.subMain[child] = by
	}
	g.mains[main] = by
}

func (c *compiler) decideAssociation(o *v1alpha1.DomainAssociation) {
	a := &association{
		object:  o,
		verdict: Verdict{Kind: v1alpha1.KindDomainAssociation, Namespace: o.Namespace, Name: o.Name},
	}
	c.associations = append(c.associations, a)

	mainRef := ref{o.Namespace, o.Spec.MainPlayDomainRef.Name}
	main := c.play[mainRef]
	childRef, child, childField := c.child(o)
	if child != nil && child.accepted() {
		a.verdict.Child = child.hostname
	}
	if main != nil && main.accepted() {
		a.verdict.Main = main.hostname
	}

	if o.DeletionTimestamp != nil {
		a.verdict.reject(v1alpha1.ReasonTerminating, "", "the association is being deleted")
		return
	}
	if reason, field, message, ok := c.graph.admits(&o.Spec, childRef, mainRef); !ok {
		c.refuse(a, reason, field, message)
		return
	}
	childOK := c.resolve(&a.verdict, child, childKind(o), childRef, childField)
	mainOK := c.resolve(&a.verdict, main, v1alpha1.KindPlayDomain, mainRef, "spec.mainPlayDomainRef.name")
	if childOK && mainOK && child.class.object.Spec.Region != main.class.object.Spec.Region {
		c.refuse(a, v1alpha1.ReasonRegionMismatch, "spec.mainPlayDomainRef.name", fmt.Sprintf(
			"%s %s is in region %s and PlayDomain %s in region %s: give them classes of one region",
			child.kind(), childRef.name, child.class.object.Spec.Region, mainRef.name, main.class.object.Spec.Region))
		return
	}
	c.graph.bind(&o.Spec, childRef, mainRef, o.Name)
	if childOK && c.boundOnly && !c.recorded(o) {
		a.verdict.WantsBinding = true
		a.verdict.reject(
			v1alpha1.ReasonPending,
			"",
			fmt.Sprintf("%s %s is free: it is being bound by this association", child.kind(), childRef.name),
		)
		return
	}
	if childOK && mainOK {
		a.child, a.main = child, main
	}
}

// refuse rejects an association, which then reserves nothing.
func (c *compiler) refuse(a *association, reason v1alpha1.Reason, field, message string) {
	a.verdict.reject(reason, field, message)
	a.verdict.LosesBinding = c.boundOnly && a.verdict.Child != "" && c.recorded(a.object)
}

// recorded reports whether the claim of the association's child names the association.
func (c *compiler) recorded(o *v1alpha1.DomainAssociation) bool {
	_, child, _ := c.child(o)
	if child == nil {
		return false
	}
	claim := c.claims[child.hostname]
	if claim == nil || claim.Spec.ClaimRef == nil || !isOwner(claim.Spec.ClaimRef, child) ||
		claim.Spec.AssociationRef == nil {
		return false
	}
	return claim.Spec.AssociationRef.Name == o.Name && claim.Spec.AssociationRef.UID == string(o.UID)
}

func (c *compiler) rank(o *v1alpha1.DomainAssociation) int {
	if c.recorded(o) {
		return 0
	}
	return 1
}

func childKind(o *v1alpha1.DomainAssociation) string {
	if o.Spec.Type == v1alpha1.PushToPlay {
		return v1alpha1.KindPushDomain
	}
	return v1alpha1.KindPlayDomain
}

func (c *compiler) child(o *v1alpha1.DomainAssociation) (ref, *domain, string) {
	if o.Spec.Type == v1alpha1.PushToPlay {
		r := ref{namespace: o.Namespace}
		if o.Spec.PushDomainRef != nil {
			r.name = o.Spec.PushDomainRef.Name
		}
		return r, c.push[r], "spec.pushDomainRef.name"
	}
	r := ref{namespace: o.Namespace}
	if o.Spec.SubPlayDomainRef != nil {
		r.name = o.Spec.SubPlayDomainRef.Name
	}
	return r, c.play[r], "spec.subPlayDomainRef.name"
}

// resolve notes in a verdict when a domain that is referred to does not exist or is not accepted.
func (c *compiler) resolve(v *Verdict, d *domain, kind string, at ref, field string) bool {
	notFound, notAccepted := v1alpha1.ReasonPlayDomainNotFound, v1alpha1.ReasonPlayDomainNotAccepted
	if kind == v1alpha1.KindPushDomain {
		notFound, notAccepted = v1alpha1.ReasonPushDomainNotFound, v1alpha1.ReasonPushDomainNotAccepted
	}
	of := &Object{Kind: kind, Namespace: at.namespace, Name: at.name}
	switch {
	case d == nil:
		v.unresolved(
			notFound,
			field,
			fmt.Sprintf("there is no %s %s in this namespace: create it, or correct the reference", kind, at.name),
			of,
		)
	case !d.accepted():
		v.unresolved(notAccepted, field, fmt.Sprintf("%s %s is not accepted: see its conditions", kind, at.name), of)
	default:
		return true
	}
	return false
}

// assignRoles sets the mains of all domains by the associations that are accepted and resolved.
func (c *compiler) assignRoles() {
	for _, a := range c.associations {
		if a.main != nil {
			a.child.main = a.main
			a.main.hasKids = true
		}
	}
}
