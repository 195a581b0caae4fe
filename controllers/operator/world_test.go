package operator_test

import (
	"fmt"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/millrace/millrace/api/v1alpha1"
)

// world is where one case of the rule table takes place: two namespaces and hostnames of its own.
type world struct{ own, other, suffix string }

// host returns a hostname of the case.
func (w world) host(name string) v1alpha1.Hostname {
	return v1alpha1.Hostname(name + "." + w.suffix)
}

// The classes that all cases share.
const (
	classDefault = "default"    // all may have RTS and take hostnames
	classRegionB = "region-b"   // the same in another region
	classNoRTS   = "no-rts"     // grants RTS to nobody
	classByLabel = "rts-label"  // grants RTS to namespaces with the label rts: granted
	classNever   = "never"      // gives hostnames by claim only
	classSuffix  = "suffix"     // gives hostnames below the suffixes of the namespace
	classBroken  = "unusable"   // has a selector that cannot be used
	classZone    = "zone-two"   // as default, of the same region
	classClosed  = "closed"     // serves namespaces with the label rts: granted
	labelRTS     = "rts"        // the label of classByLabel
	granted      = "granted"    // its value
	suffixOfOwn  = "allowed.io" // what the own namespace may take with classSuffix
)

func classes() []client.Object {
	class := func(name, region string, rts *metav1.LabelSelector, claims v1alpha1.ClaimPolicy) client.Object {
		c := &v1alpha1.MediaClass{
			ObjectMeta: metav1.ObjectMeta{Name: name},
			Spec:       v1alpha1.MediaClassSpec{Region: region, Claims: claims},
		}
		if rts != nil {
			c.Spec.RTS = &v1alpha1.RTSGrant{NamespaceSelector: *rts}
		}
		return c
	}
	all := &metav1.LabelSelector{}
	closed := class(classClosed, "default", all, v1alpha1.ClaimsAlways)
	closed.(*v1alpha1.MediaClass).Spec.NamespaceSelector = &metav1.LabelSelector{
		MatchLabels: map[string]string{labelRTS: granted},
	}
	return []client.Object{
		class(classRegionB, "b", all, v1alpha1.ClaimsAlways),
		class(classNoRTS, "default", nil, v1alpha1.ClaimsAlways),
		class(
			classByLabel,
			"default",
			&metav1.LabelSelector{MatchLabels: map[string]string{labelRTS: granted}},
			v1alpha1.ClaimsAlways,
		),
		class(classNever, "default", all, v1alpha1.ClaimsNever),
		class(classSuffix, "default", all, v1alpha1.ClaimsSameSuffix),
		class(classBroken, "default", badSelector(), v1alpha1.ClaimsAlways),
		class(classZone, "default", all, v1alpha1.ClaimsAlways),
		closed,
	}
}

func badSelector() *metav1.LabelSelector {
	return &metav1.LabelSelector{MatchExpressions: []metav1.LabelSelectorRequirement{{Key: "a", Operator: "Near"}}}
}

func push(namespace, name string, host v1alpha1.Hostname, class ...string) *v1alpha1.PushDomain {
	return &v1alpha1.PushDomain{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name},
		Spec: v1alpha1.PushDomainSpec{Hostname: host, ClassName: strings.Join(class, "")}}
}

func play(
	namespace, name string,
	host v1alpha1.Hostname,
	kind v1alpha1.PlayType,
	class ...string,
) *v1alpha1.PlayDomain {
	return &v1alpha1.PlayDomain{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name},
		Spec: v1alpha1.PlayDomainSpec{Hostname: host, Type: kind, ClassName: strings.Join(class, "")}}
}

func standard(namespace, name string, host v1alpha1.Hostname, class ...string) *v1alpha1.PlayDomain {
	return play(namespace, name, host, v1alpha1.PlayStandard, class...)
}

func rts(namespace, name string, host v1alpha1.Hostname, class ...string) *v1alpha1.PlayDomain {
	return play(namespace, name, host, v1alpha1.PlayRTS, class...)
}

func pushTo(namespace, push, main string) *v1alpha1.DomainAssociation {
	return &v1alpha1.DomainAssociation{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: fmt.Sprintf("%s-to-%s", push, main)},
		Spec: v1alpha1.DomainAssociationSpec{Type: v1alpha1.PushToPlay, PushDomainRef: &v1alpha1.DomainReference{Name: push},
			MainPlayDomainRef: v1alpha1.DomainReference{Name: main}},
	}
}

func subOf(namespace, sub, main string) *v1alpha1.DomainAssociation {
	return &v1alpha1.DomainAssociation{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: fmt.Sprintf("%s-sub-of-%s", sub, main)},
		Spec: v1alpha1.DomainAssociationSpec{Type: v1alpha1.MainToSub, SubPlayDomainRef: &v1alpha1.DomainReference{Name: sub},
			MainPlayDomainRef: v1alpha1.DomainReference{Name: main}},
	}
}

func audio(namespace, name, id, main string, apps ...v1alpha1.AppName) *v1alpha1.RTSTranscodeTemplate {
	return &v1alpha1.RTSTranscodeTemplate{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name},
		Spec: v1alpha1.RTSTranscodeTemplateSpec{TemplateID: id, Type: v1alpha1.TemplateAudio, Apps: apps,
			PlayDomainRef: v1alpha1.DomainReference{Name: main}, Audio: v1alpha1.AudioSettings{Codec: v1alpha1.AudioOpus}}}
}

func claim(host v1alpha1.Hostname, namespace string, owner ...client.Object) *v1alpha1.DomainClaim {
	c := &v1alpha1.DomainClaim{
		ObjectMeta: metav1.ObjectMeta{Name: string(host)},
		Spec:       v1alpha1.DomainClaimSpec{Namespace: namespace},
	}
	for _, o := range owner {
		kind := v1alpha1.KindPushDomain
		if _, ok := o.(*v1alpha1.PlayDomain); ok {
			kind = v1alpha1.KindPlayDomain
		}
		c.Spec.ClaimRef = &v1alpha1.ClaimReference{Kind: kind, Namespace: o.GetNamespace(), Name: o.GetName()}
	}
	return c
}
