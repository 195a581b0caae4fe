package admission

import (
	"context"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/validate/content"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/millrace/millrace/api/v1alpha1"
	"github.com/millrace/millrace/internal/compile"
)

// Fields that the API server can select by; see the CRDs.
const (
	fieldHostname = "spec.hostname"
	fieldPush     = "spec.pushDomainRef.name"
	fieldSub      = "spec.subPlayDomainRef.name"
	fieldMain     = "spec.mainPlayDomainRef.name"
	fieldPlay     = "spec.playDomainRef.name"
)

// reads are the two ways to read: live where it is decided whom something belongs to, other (a cache) for the rest.
type reads struct{ live, other client.Reader }

// gathering collects the objects that the rules for one candidate look at.
type gathering struct {
	reads
	input compile.Input
}

// around reads what is around a candidate.
func (g *gathering) around(ctx context.Context, candidate client.Object, creating bool) error {
	switch o := candidate.(type) {
	case *v1alpha1.PushDomain:
		return g.aroundDomain(ctx, o, v1alpha1.KindPushDomain, string(o.Spec.Hostname), o.Spec.ClassName, creating)
	case *v1alpha1.PlayDomain:
		return g.aroundDomain(ctx, o, v1alpha1.KindPlayDomain, string(o.Spec.Hostname), o.Spec.ClassName, creating)
	case *v1alpha1.DomainAssociation:
		return g.aroundAssociation(ctx, o)
	case *v1alpha1.RTSTranscodeTemplate:
		return g.aroundTemplate(ctx, o)
	}
	return nil
}

// aroundDomain reads the claim of the hostname and whoever else has it in its spec.
func (g *gathering) aroundDomain(
	ctx context.Context,
	o client.Object,
	kind, hostname, class string,
	creating bool,
) error {
	if err := g.claim(ctx, g.live, hostname); err != nil {
		return err
	}
	if creating && len(g.input.Claims) == 1 {
		// An object that is being created proves that the one of this name, whom the claim names, is gone: the claim follows.
		claim := &g.input.Claims[0]
		if r := claim.Spec.ClaimRef; r != nil && r.Kind == kind && r.Namespace == o.GetNamespace() && r.Name == o.GetName() {
			claim.Spec.ClaimRef = nil
		}
	}
	var push v1alpha1.PushDomainList
	var play v1alpha1.PlayDomainList
	for _, list := range []client.ObjectList{&push, &play} {
		if err := g.live.List(ctx, list, client.MatchingFields{fieldHostname: hostname}); err != nil {
			return fmt.Errorf("list the domains with hostname %s: %w", hostname, err)
		}
	}
	g.input.PushDomains, g.input.PlayDomains = push.Items, play.Items
	if err := g.class(ctx, class); err != nil {
		return err
	}
	if err := g.namespace(ctx, o.GetNamespace()); err != nil {
		return err
	}
	return g.platform(ctx)
}

// aroundAssociation reads both ends and the associations that bind them.
func (g *gathering) aroundAssociation(ctx context.Context, o *v1alpha1.DomainAssociation) error {
	main := o.Spec.MainPlayDomainRef.Name
	selectors := []client.MatchingFields{{fieldSub: main}}
	if o.Spec.PushDomainRef != nil {
		selectors = append(selectors, client.MatchingFields{fieldPush: o.Spec.PushDomainRef.Name})
	}
	if o.Spec.SubPlayDomainRef != nil {
		child := o.Spec.SubPlayDomainRef.Name
		selectors = append(selectors, client.MatchingFields{fieldSub: child}, client.MatchingFields{fieldMain: child})
	}
	if err := g.associations(ctx, o.Namespace, selectors...); err != nil {
		return err
	}
	if err := g.ends(ctx, g.live, o); err != nil {
		return err
	}
	for _, domain := range g.hostnames() {
		if err := g.claim(ctx, g.live, domain); err != nil {
			return err
		}
	}
	return g.rest(ctx)
}

// aroundTemplate reads the play domain, its associations and its other templates.
func (g *gathering) aroundTemplate(ctx context.Context, o *v1alpha1.RTSTranscodeTemplate) error {
	main := o.Spec.PlayDomainRef.Name
	if err := g.associations(ctx, o.Namespace, client.MatchingFields{fieldSub: main},
		client.MatchingFields{fieldMain: main}); err != nil {
		return err
	}
	var templates v1alpha1.RTSTranscodeTemplateList
	if err := g.live.List(ctx, &templates, client.InNamespace(o.Namespace),
		client.MatchingFields{fieldPlay: main}); err != nil {
		return fmt.Errorf("list the templates of PlayDomain %s/%s: %w", o.Namespace, main, err)
	}
	g.input.Templates = templates.Items
	if err := g.playDomain(ctx, g.live, client.ObjectKey{Namespace: o.Namespace, Name: main}); err != nil {
		return err
	}
	return g.rest(ctx)
}

// rest adds the other ends of all associations, and what the platform says about all domains.
func (g *gathering) rest(ctx context.Context) error {
	for i := range g.input.Associations {
		if err := g.ends(ctx, g.other, &g.input.Associations[i]); err != nil {
			return err
		}
	}
	return g.platform(ctx)
}

// platform adds the classes, namespaces and claims of all domains.
func (g *gathering) platform(ctx context.Context) error {
	type domain struct{ namespace, class, hostname string }
	var all []domain
	for i := range g.input.PushDomains {
		d := &g.input.PushDomains[i]
		all = append(all, domain{d.Namespace, d.Spec.ClassName, string(d.Spec.Hostname)})
	}
	for i := range g.input.PlayDomains {
		d := &g.input.PlayDomains[i]
		all = append(all, domain{d.Namespace, d.Spec.ClassName, string(d.Spec.Hostname)})
	}
	for _, d := range all {
		if err := g.class(ctx, d.class); err != nil {
			return err
		}
		if err := g.namespace(ctx, d.namespace); err != nil {
			return err
		}
		if err := g.claim(ctx, g.other, d.hostname); err != nil {
			return err
		}
	}
	return nil
}

func (g *gathering) associations(ctx context.Context, namespace string, selectors ...client.MatchingFields) error {
	for _, selector := range selectors {
		var list v1alpha1.DomainAssociationList
		if err := g.live.List(ctx, &list, client.InNamespace(namespace), selector); err != nil {
			return fmt.Errorf("list the associations in namespace %s by %v: %w", namespace, selector, err)
		}
		for _, a := range list.Items {
			g.input.Associations = with(g.input.Associations, a)
		}
	}
	return nil
}

// ends adds the two domains of an association.
func (g *gathering) ends(ctx context.Context, r client.Reader, a *v1alpha1.DomainAssociation) error {
	if a.Spec.PushDomainRef != nil {
		if err := g.pushDomain(ctx, r, client.ObjectKey{Namespace: a.Namespace,
			Name: a.Spec.PushDomainRef.Name}); err != nil {
			return err
		}
	}
	if a.Spec.SubPlayDomainRef != nil {
		if err := g.playDomain(ctx, r, client.ObjectKey{Namespace: a.Namespace,
			Name: a.Spec.SubPlayDomainRef.Name}); err != nil {
			return err
		}
	}
	return g.playDomain(ctx, r, client.ObjectKey{Namespace: a.Namespace, Name: a.Spec.MainPlayDomainRef.Name})
}

func (g *gathering) hostnames() []string {
	var out []string
	for i := range g.input.PushDomains {
		out = append(out, string(g.input.PushDomains[i].Spec.Hostname))
	}
	for i := range g.input.PlayDomains {
		out = append(out, string(g.input.PlayDomains[i].Spec.Hostname))
	}
	return out
}

func (g *gathering) pushDomain(ctx context.Context, r client.Reader, key client.ObjectKey) (err error) {
	g.input.PushDomains, err = add(ctx, r, g.input.PushDomains, key, &v1alpha1.PushDomain{})
	return err
}

func (g *gathering) playDomain(ctx context.Context, r client.Reader, key client.ObjectKey) (err error) {
	g.input.PlayDomains, err = add(ctx, r, g.input.PlayDomains, key, &v1alpha1.PlayDomain{})
	return err
}

func (g *gathering) claim(ctx context.Context, r client.Reader, hostname string) (err error) {
	g.input.Claims, err = add(ctx, r, g.input.Claims, client.ObjectKey{Name: hostname}, &v1alpha1.DomainClaim{})
	return err
}

func (g *gathering) class(ctx context.Context, name string) (err error) {
	if name == "" {
		name = v1alpha1.DefaultClassName
	}
	g.input.Classes, err = add(ctx, g.other, g.input.Classes, client.ObjectKey{Name: name}, &v1alpha1.MediaClass{})
	return err
}

func (g *gathering) namespace(ctx context.Context, name string) (err error) {
	g.input.Namespaces, err = add(ctx, g.other, g.input.Namespaces, client.ObjectKey{Name: name}, &corev1.Namespace{})
	return err
}

// object is a pointer to a T that is an object.
type object[T any] interface {
	*T
	client.Object
}

// add reads an object into a list that does not have it yet. One that does not exist is no error.
func add[T any, P object[T]](
	ctx context.Context,
	r client.Reader,
	list []T,
	key client.ObjectKey,
	into P,
) ([]T, error) {
	for i := range list {
		if client.ObjectKeyFromObject(P(&list[i])) == key {
			return list, nil
		}
	}
	if key.Name == "" || len(content.IsPathSegmentName(key.Name)) > 0 {
		return list, nil // no object can have that name
	}
	err := r.Get(ctx, key, into)
	if apierrors.IsNotFound(err) {
		return list, nil
	}
	if err != nil {
		return list, fmt.Errorf("read %T %s: %w", into, key, err)
	}
	return append(list, *into), nil
}
