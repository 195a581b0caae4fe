package compile

import (
	"fmt"
	"slices"

	"github.com/millrace/millrace/api/v1alpha1"
)

// template is an RTSTranscodeTemplate and what is decided about it.
type template struct {
	object  *v1alpha1.RTSTranscodeTemplate
	verdict Verdict
	main    *domain // set when accepted and its play domain is accepted
}

// templateKey is what templates can clash about.
type templateKey struct {
	main ref
	id   string
}

func (t *template) accepted() bool { return !t.verdict.has(v1alpha1.ConditionAccepted) }

func (c *compiler) decideTemplate(o *v1alpha1.RTSTranscodeTemplate) {
	t := &template{
		object:  o,
		verdict: Verdict{Kind: v1alpha1.KindRTSTranscodeTemplate, Namespace: o.Namespace, Name: o.Name},
	}
	at := ref{o.Namespace, o.Spec.PlayDomainRef.Name}
	key := templateKey{at, o.Spec.TemplateID}
	defer func() {
		c.templates = append(c.templates, t)
		c.byID[key] = append(c.byID[key], t)
	}()

	if o.DeletionTimestamp != nil {
		t.verdict.reject(v1alpha1.ReasonTerminating, "", "the template is being deleted")
		return
	}
	if by, sub := c.graph.subMain[at]; sub {
		t.verdict.reject(v1alpha1.ReasonPlayDomainIsSub, "spec.playDomainRef.name", fmt.Sprintf(
			"PlayDomain %s is a sub by %s and inherits the templates of its main: attach the template to the main", at.name, by))
		return
	}
	for _, other := range c.byID[key] {
		if app, clash := clashes(other, o); clash {
			t.verdict.reject(v1alpha1.ReasonTemplateIDConflict, "spec.templateID", fmt.Sprintf(
				"RTSTranscodeTemplate %s already has the id %s for %s of this play domain: choose another id",
				other.object.Name,
				o.Spec.TemplateID,
				app,
			))
			return
		}
	}
	d := c.play[at]
	if !c.resolve(&t.verdict, d, v1alpha1.KindPlayDomain, at, "spec.playDomainRef.name") {
		return
	}
	t.main, t.verdict.Main = d, d.hostname
	if d.role() != v1alpha1.RoleMain {
		t.verdict.unresolved(v1alpha1.ReasonPlayDomainNotAssociated, "spec.playDomainRef.name", fmt.Sprintf(
			"PlayDomain %s has no push domain and no sub yet: associate one with it", at.name),
			&Object{Kind: v1alpha1.KindPlayDomain, Namespace: at.namespace, Name: at.name})
	}
}

// clashes reports whether an accepted template of the same id and play domain serves an app that the new one serves
// too, and names the app.
func clashes(other *template, o *v1alpha1.RTSTranscodeTemplate) (string, bool) {
	a, b := &other.object.Spec, &o.Spec
	if !other.accepted() {
		return "", false
	}
	if len(a.Apps) == 0 || len(b.Apps) == 0 {
		apps := append(slices.Clone(a.Apps), b.Apps...)
		if len(apps) == 0 {
			return "all apps", true
		}
		return "app " + string(slices.Min(apps)), true
	}
	var both []v1alpha1.AppName
	for _, app := range b.Apps {
		if slices.Contains(a.Apps, app) {
			both = append(both, app)
		}
	}
	if len(both) == 0 {
		return "", false
	}
	return "app " + string(slices.Min(both)), true
}
