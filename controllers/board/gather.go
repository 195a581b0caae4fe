package board

import (
	"context"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/millrace/millrace/api/v1alpha1"
	"github.com/millrace/millrace/internal/compile"
	"github.com/millrace/millrace/internal/contract/plan"
)

// gather reads everything from the cache. The objects are those of the cache itself: compile changes nothing.
func gather(ctx context.Context, r client.Reader) (compile.Input, error) {
	var (
		push         v1alpha1.PushDomainList
		play         v1alpha1.PlayDomainList
		associations v1alpha1.DomainAssociationList
		templates    v1alpha1.RTSTranscodeTemplateList
		classes      v1alpha1.MediaClassList
		claims       v1alpha1.DomainClaimList
		namespaces   corev1.NamespaceList
	)
	for _, list := range []client.ObjectList{&push, &play, &associations, &templates, &classes, &claims, &namespaces} {
		if err := r.List(ctx, list, client.UnsafeDisableDeepCopy); err != nil {
			return compile.Input{}, fmt.Errorf("list %T: %w", list, err)
		}
	}
	return compile.Input{
		PushDomains: push.Items, PlayDomains: play.Items, Associations: associations.Items, Templates: templates.Items,
		Classes: classes.Items, Claims: claims.Items, Namespaces: namespaces.Items,
	}, nil
}

// wantedSecrets lists the Secrets that domains name, each once.
func wantedSecrets(in *compile.Input) []client.ObjectKey {
	seen := map[client.ObjectKey]bool{}
	var out []client.ObjectKey
	add := func(namespace string, r *v1alpha1.SecretReference) {
		if r == nil {
			return
		}
		key := client.ObjectKey{Namespace: namespace, Name: r.Name}
		if !seen[key] {
			seen[key] = true
			out = append(out, key)
		}
	}
	for i := range in.PushDomains {
		d := &in.PushDomains[i]
		add(d.Namespace, d.Spec.Auth.SecretRef)
		if d.Spec.TLS != nil {
			add(d.Namespace, &d.Spec.TLS.SecretRef)
		}
		if d.Spec.Notify != nil {
			add(d.Namespace, d.Spec.Notify.AuthKeySecretRef)
		}
	}
	for i := range in.PlayDomains {
		d := &in.PlayDomains[i]
		add(d.Namespace, d.Spec.Auth.SecretRef)
		if d.Spec.TLS != nil {
			add(d.Namespace, &d.Spec.TLS.SecretRef)
		}
	}
	return out
}

// resultOf indexes what compile gave, with the state of each object that it was given for.
func resultOf(in *compile.Input, out compile.Output) *Result {
	r := &Result{
		decisions: make(map[Key]*Decision, len(out.Verdicts)),
		hosts:     make(map[string]*Decision, len(in.PushDomains)+len(in.PlayDomains)),
		plans:     make(map[string]*plan.Plan, len(out.Plans)),
		children:  map[string][]Key{},
		templates: map[string][]Key{},
	}
	for i := range out.Verdicts {
		v := &out.Verdicts[i]
		r.decisions[Key{v.Kind, v.Namespace, v.Name}] = &Decision{Verdict: *v}
	}
	note := func(kind string, o client.Object, class string) {
		if d := r.decisions[Key{kind, o.GetNamespace(), o.GetName()}]; d != nil {
			d.UID, d.Generation, d.Class = string(o.GetUID()), o.GetGeneration(), class
		}
	}
	for i := range in.PushDomains {
		note(v1alpha1.KindPushDomain, &in.PushDomains[i], className(in.PushDomains[i].Spec.ClassName))
	}
	for i := range in.PlayDomains {
		note(v1alpha1.KindPlayDomain, &in.PlayDomains[i], className(in.PlayDomains[i].Spec.ClassName))
	}
	for i := range in.Associations {
		note(v1alpha1.KindDomainAssociation, &in.Associations[i], "")
	}
	for i := range in.Templates {
		note(v1alpha1.KindRTSTranscodeTemplate, &in.Templates[i], "")
	}
	for i := range in.Classes {
		note(v1alpha1.KindMediaClass, &in.Classes[i], "")
	}
	for i := range in.Claims {
		note(v1alpha1.KindDomainClaim, &in.Claims[i], "")
	}
	for k, d := range r.decisions {
		switch {
		case d.Kind == v1alpha1.KindDomainAssociation && d.Child != "":
			r.children[d.Child] = append(r.children[d.Child], k)
		case d.Kind == v1alpha1.KindRTSTranscodeTemplate && d.Main != "":
			r.templates[d.Main] = append(r.templates[d.Main], k)
		}
		if d.Accepted && (d.Kind == v1alpha1.KindPushDomain || d.Kind == v1alpha1.KindPlayDomain) {
			r.hosts[d.Hostname] = d
		}
	}
	for _, p := range out.Plans {
		r.plans[p.Class] = p
	}
	return r
}

func className(name string) string {
	if name == "" {
		return v1alpha1.DefaultClassName
	}
	return name
}
