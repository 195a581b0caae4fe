package controllers_test

import (
	"fmt"
	"testing"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/millrace/millrace/api/v1alpha1"
	"github.com/millrace/millrace/internal/testkit"
)

func template(namespace, name, id, main string, apps ...v1alpha1.AppName) *v1alpha1.RTSTranscodeTemplate {
	return &v1alpha1.RTSTranscodeTemplate{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name},
		Spec: v1alpha1.RTSTranscodeTemplateSpec{
			TemplateID: id, Type: v1alpha1.TemplateAudio, PlayDomainRef: v1alpha1.DomainReference{Name: main}, Apps: apps,
			Audio: v1alpha1.AudioSettings{Codec: v1alpha1.AudioOpus},
		},
	}
}

// TestTheGuardHoldsEveryRule breaks every rule between objects where no webhook is: the reconcilers say so, with the
// reason of the rule.
func TestTheGuardHoldsEveryRule(t *testing.T) {
	w := start(t, nil)
	class := func(suffix string, spec v1alpha1.MediaClassSpec) string {
		name := w.class + suffix
		w.create(&v1alpha1.MediaClass{ObjectMeta: metav1.ObjectMeta{Name: name}, Spec: spec})
		return name
	}
	never := class("-never", v1alpha1.MediaClassSpec{Claims: v1alpha1.ClaimsNever})
	suffix := class("-suffix", v1alpha1.MediaClassSpec{Claims: v1alpha1.ClaimsSameSuffix})
	far := class("-far", v1alpha1.MediaClassSpec{Region: "far", RTS: &v1alpha1.RTSGrant{}})
	broken := class("-broken", v1alpha1.MediaClassSpec{RTS: &v1alpha1.RTSGrant{NamespaceSelector: metav1.LabelSelector{
		MatchExpressions: []metav1.LabelSelectorRequirement{{Key: "a", Operator: "Nonsense"}},
	}}})
	closed := class("-closed", v1alpha1.MediaClassSpec{})
	ns, other := server.Namespace(t, nil), server.Namespace(t, nil)
	rts, standard := v1alpha1.PlayRTS, v1alpha1.PlayType("Standard")
	in := func(class string, o client.Object) client.Object {
		switch d := o.(type) {
		case *v1alpha1.PushDomain:
			d.Spec.ClassName = class
		case *v1alpha1.PlayDomain:
			d.Spec.ClassName = class
		}
		return o
	}
	signed := w.push(ns, "signed", "signed.guard.example.com")
	signed.Spec.Auth = v1alpha1.Auth{Type: v1alpha1.AuthA, SecretRef: &v1alpha1.SecretReference{Name: "nowhere"}}

	w.create(
		w.push(
			ns,
			"push",
			"push.guard.example.com",
		),
		w.push(ns, "push2", "push2.guard.example.com"),
		w.push(ns, "loose", "loose.guard.example.com"),
		w.play(ns, "main", "main.guard.example.com", rts),
		w.play(ns, "main2", "main2.guard.example.com", standard),
		w.play(ns, "sub", "sub.guard.example.com", rts),
		w.play(ns, "alone", "alone.guard.example.com", rts),
		in(far, w.play(ns, "far", "far.guard.example.com", rts)),
	)
	good := []client.Object{
		feeds(
			ns,
			"feeds",
			"push",
			"main",
		), feeds(ns, "feeds2", "push2", "main2"), subOf(ns, "sub", "sub", "main"), template(ns, "good", "good", "main"),
	}
	for _, o := range good {
		w.create(o)
		w.accepted(o)
	}
	const a, refs = v1alpha1.ConditionAccepted, v1alpha1.ConditionResolvedRefs
	for _, c := range []struct {
		rule      string
		object    client.Object
		condition string
		reason    v1alpha1.Reason
	}{
		{"a hostname is one push domain", w.push(other, "b1", "push.guard.example.com"), a, v1alpha1.ReasonHostnameConflict},
		{"a hostname is push or play", w.play(ns, "b2", "push.guard.example.com", rts), a, v1alpha1.ReasonHostnameConflict},
		{"a hostname is RTS or Standard", w.play(ns, "b3", "main.guard.example.com", standard), a,
			v1alpha1.ReasonHostnameConflict},
		{"a class exists", in("nowhere", w.push(ns, "b4", "b4.guard.example.com")), a, v1alpha1.ReasonClassNotFound},
		{"a class is usable", in(broken, w.push(ns, "b5", "b5.guard.example.com")), a, v1alpha1.ReasonClassInvalid},
		{"claims Never", in(never, w.push(ns, "b6", "b6.guard.example.com")), a, v1alpha1.ReasonHostnameNotPermitted},
		{"claims SameSuffix", in(suffix, w.push(ns, "b7", "b7.guard.example.com")), a, v1alpha1.ReasonHostnameNotPermitted},
		{"RTS needs a grant", in(closed, w.play(ns, "b8", "b8.guard.example.com", rts)), a, v1alpha1.ReasonRTSNotGranted},
		{"a push domain has one main", feeds(ns, "b9", "push", "main2"), a, v1alpha1.ReasonPushDomainAlreadyAssociated},
		{"a sub has one main", subOf(ns, "b10", "sub", "main2"), a, v1alpha1.ReasonSubAlreadyAssociated},
		{"a sub is no main of subs", subOf(ns, "b11", "alone", "sub"), a, v1alpha1.ReasonMainIsSub},
		{"a sub is no target of push", feeds(ns, "b12", "loose", "sub"), a, v1alpha1.ReasonMainIsSub},
		{"a domain with push domains becomes no sub", subOf(ns, "b13", "main2", "main"), a, v1alpha1.ReasonSubIsMain},
		{"a domain with subs becomes no sub", subOf(ns, "b14", "main", "main2"), a, v1alpha1.ReasonSubIsMain},
		{"both ends are in one region", feeds(ns, "b15", "loose", "far"), a, v1alpha1.ReasonRegionMismatch},
		{"a template needs a main", template(ns, "b16", "b16", "sub"), a, v1alpha1.ReasonPlayDomainIsSub},
		{"a template id is unique", template(ns, "b17", "good", "main"), a, v1alpha1.ReasonTemplateIDConflict},
		{"a template id is unique for an app", template(ns, "b18", "good", "main", "live"), a,
			v1alpha1.ReasonTemplateIDConflict},
		{"a template's domain exists", template(ns, "b19", "b19", "nowhere"), refs, v1alpha1.ReasonPlayDomainNotFound},
		{"a template's domain is associated", template(ns, "b20", "b20", "alone"), refs,
			v1alpha1.ReasonPlayDomainNotAssociated},
		{"a push domain exists", feeds(ns, "b21", "nowhere", "main"), refs, v1alpha1.ReasonPushDomainNotFound},
		{"a main exists", feeds(ns, "b22", "loose", "nowhere"), refs, v1alpha1.ReasonPlayDomainNotFound},
		{"an end is accepted", subOf(ns, "b23", "b8", "main"), refs, v1alpha1.ReasonPlayDomainNotAccepted},
		{"a push end is accepted", feeds(ns, "b24", "b4", "main"), refs, v1alpha1.ReasonPushDomainNotAccepted},
		{"a class has a usable selector", &v1alpha1.MediaClass{ObjectMeta: metav1.ObjectMeta{Name: broken}}, a,
			v1alpha1.ReasonInvalid},
		{"a Secret exists", signed, refs, v1alpha1.ReasonSecretNotFound},
	} {
		t.Run(c.rule, func(t *testing.T) {
			w := *w
			w.t = t
			if c.object.GetName() != broken {
				if err := w.client.Create(t.Context(), c.object); err != nil {
					t.Fatal(err)
				}
				defer w.remove(c.object)
			}
			if c.object.GetName() == "b23" || c.object.GetName() == "b24" {
				// The ends of these were removed with their own cases: they come again.
				end := client.Object(in(closed, w.play(ns, "b8", "b8.guard.example.com", rts)))
				if c.object.GetName() == "b24" {
					end = in("nowhere", w.push(ns, "b4", "b4.guard.example.com"))
				}
				if err := w.client.Create(t.Context(), end); err != nil {
					t.Fatal(err)
				}
				defer w.remove(end)
			}
			w.wants(c.object, c.condition, metav1.ConditionFalse, c.reason)
		})
	}
	for _, o := range good {
		w.accepted(o)
	}
}

// TestRTSHealsWhenItIsGranted changes the labels of the namespace. A field that nothing acts on yet makes Served false,
// beside which all else goes on; the condition goes with the field.
func TestFieldsThatNothingServesHaveACondition(t *testing.T) {
	w := start(t, nil)
	ns := server.Namespace(t, nil)
	push := w.push(ns, "push", "push.unserved.example.com")
	push.Spec.Notify = &v1alpha1.Notify{URL: "https://hooks.example.com/a"}
	play := w.play(ns, "play", "play.unserved.example.com", v1alpha1.PlayRTS)
	play.Spec.BillingMode = v1alpha1.BillingBandwidth
	class := &v1alpha1.MediaClass{ObjectMeta: metav1.ObjectMeta{Name: w.class + "-unserved"}}
	class.Spec.Pools.Relay.Exposure.Advertise = []string{"media.example.com"}
	w.create(push, play, class)
	for _, o := range []client.Object{push, play, class} {
		w.wants(o, v1alpha1.ConditionServed, metav1.ConditionFalse, v1alpha1.ReasonNotServedYet)
		w.accepted(o)
	}
	push.Spec.Notify = nil
	if err := w.client.Update(t.Context(), push); err != nil {
		t.Fatal(err)
	}
	testkit.Succeeds(t, func() error {
		if err := w.get(push); err != nil {
			return err
		}
		if meta.FindStatusCondition(push.Status.Conditions, v1alpha1.ConditionServed) != nil {
			return fmt.Errorf("Served is still there: %v", push.Status.Conditions)
		}
		return nil
	})
}

// A class serves the namespaces that it selects. Without its label a namespace has no domain there, and takes none from
// others.
func TestAClassServesItsNamespaces(t *testing.T) {
	w := start(t, nil)
	class := &v1alpha1.MediaClass{ObjectMeta: metav1.ObjectMeta{Name: w.class + "-closed"}}
	class.Spec.NamespaceSelector = &metav1.LabelSelector{MatchLabels: map[string]string{"team": w.class}}
	w.create(class)
	ns := server.Namespace(t, nil)
	push := w.push(ns, "push", "push.closed.example.com")
	push.Spec.ClassName = class.Name
	w.create(push)
	w.wants(push, v1alpha1.ConditionAccepted, metav1.ConditionFalse, v1alpha1.ReasonNamespaceNotServed)
	claim := &v1alpha1.DomainClaim{ObjectMeta: metav1.ObjectMeta{Name: "push.closed.example.com"}}
	if w.get(claim) == nil {
		t.Error("a domain that is not accepted has claimed its hostname")
	}
	w.label(ns, map[string]string{"team": w.class})
	w.accepted(push)
	w.label(ns, nil)
	w.wants(push, v1alpha1.ConditionAccepted, metav1.ConditionFalse, v1alpha1.ReasonNamespaceNotServed)
}

func TestRTSHealsWhenItIsGranted(t *testing.T) {
	w := start(t, nil)
	name := w.class + "-granted"
	w.create(&v1alpha1.MediaClass{ObjectMeta: metav1.ObjectMeta{Name: name}, Spec: v1alpha1.MediaClassSpec{
		RTS: &v1alpha1.RTSGrant{NamespaceSelector: metav1.LabelSelector{MatchLabels: map[string]string{"rts": "yes"}}},
	}})
	ns := server.Namespace(t, nil)
	play := w.play(ns, "play", "granted.example.com", v1alpha1.PlayRTS)
	play.Spec.ClassName = name
	w.create(play)
	w.wants(play, v1alpha1.ConditionAccepted, metav1.ConditionFalse, v1alpha1.ReasonRTSNotGranted)
	w.label(ns, map[string]string{"rts": "yes"})
	w.accepted(play)
}
