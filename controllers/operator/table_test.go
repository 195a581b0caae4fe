package operator_test

import (
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/millrace/millrace/api/v1alpha1"
)

// rule is a case of the rule table: what is there, and an object that comes.
type rule struct {
	name  string
	given func(w world) []client.Object
	// candidate is created, or replaces the object of its name that is given.
	candidate func(w world) client.Object
	want      v1alpha1.Reason // of Accepted=False; "" when it is accepted
	labels    map[string]string
	suffixes  string // the annotation of the own namespace
}

func nothing(world) []client.Object { return nil }

// service is a push domain, a standard main and a free RTS domain.
func service(w world) []client.Object {
	return []client.Object{
		push(w.own, "push", w.host("push")), standard(w.own, "play", w.host("play")), rts(w.own, "rts", w.host("rts")),
		pushTo(w.own, "push", "play"),
	}
}

// and adds objects to what is given.
func and(given func(world) []client.Object, more func(w world) []client.Object) func(world) []client.Object {
	return func(w world) []client.Object { return append(given(w), more(w)...) }
}

// rules are the rules of the API that look at more than one object: kept, and broken.
func rules() []rule {
	return append(append(hostnameRules(), classRules()...), append(associationRules(), templateRules()...)...)
}

func hostnameRules() []rule {
	taken := func(o func(w world) client.Object) func(world) []client.Object {
		return func(w world) []client.Object { return []client.Object{o(w)} }
	}
	ownPush := taken(func(w world) client.Object { return push(w.own, "first", w.host("x")) })
	otherPush := taken(func(w world) client.Object { return push(w.other, "first", w.host("x")) })
	ownPlay := taken(func(w world) client.Object { return standard(w.own, "first", w.host("x")) })
	otherPlay := taken(func(w world) client.Object { return standard(w.other, "first", w.host("x")) })
	otherRTS := taken(func(w world) client.Object { return rts(w.other, "first", w.host("x")) })
	newPush := func(w world) client.Object { return push(w.own, "second", w.host("x")) }
	newPlay := func(w world) client.Object { return standard(w.own, "second", w.host("x")) }
	newRTS := func(w world) client.Object { return rts(w.own, "second", w.host("x")) }
	const conflict = v1alpha1.ReasonHostnameConflict
	return []rule{
		{name: "a free hostname", given: nothing, candidate: newPush},
		{name: "a free hostname for RTS", given: nothing, candidate: newRTS},
		{name: "push, taken by a push domain here", given: ownPush, candidate: newPush, want: conflict},
		{name: "push, taken by a push domain elsewhere", given: otherPush, candidate: newPush, want: conflict},
		{name: "push, taken by a play domain here", given: ownPlay, candidate: newPush, want: conflict},
		{name: "push, taken by a play domain elsewhere", given: otherPlay, candidate: newPush, want: conflict},
		{name: "push, taken by an RTS domain", given: otherRTS, candidate: newPush, want: conflict},
		{name: "play, taken by a push domain here", given: ownPush, candidate: newPlay, want: conflict},
		{name: "play, taken by a push domain elsewhere", given: otherPush, candidate: newPlay, want: conflict},
		{name: "play, taken by a play domain here", given: ownPlay, candidate: newPlay, want: conflict},
		{name: "play, taken by a play domain elsewhere", given: otherPlay, candidate: newPlay, want: conflict},
		{name: "standard, taken by RTS", given: otherRTS, candidate: newPlay, want: conflict},
		{name: "RTS, taken by standard here", given: ownPlay, candidate: newRTS, want: conflict},
		{name: "RTS, taken by standard elsewhere", given: otherPlay, candidate: newRTS, want: conflict},
		{name: "RTS, taken by a push domain", given: otherPush, candidate: newRTS, want: conflict},
		{name: "a parent of a hostname is another hostname", given: otherPush,
			candidate: func(w world) client.Object { return push(w.own, "second", w.host("sub.x")) }},
		{
			name:      "an offline domain keeps its hostname",
			want:      conflict,
			candidate: newPush,
			given: func(w world) []client.Object {
				d := push(w.other, "first", w.host("x"))
				d.Spec.State = v1alpha1.Offline
				return []client.Object{d}
			},
		},
		{name: "a rejected domain reserves nothing", candidate: newPush, given: func(w world) []client.Object {
			return []client.Object{rts(w.other, "first", w.host("x"), classNoRTS)}
		}},
		{name: "a domain of an unknown class reserves nothing", candidate: newPush, given: func(w world) []client.Object {
			return []client.Object{push(w.other, "first", w.host("x"), "nowhere")}
		}},
		{name: "claimed ahead for this namespace", candidate: newPush, given: func(w world) []client.Object {
			return []client.Object{claim(w.host("x"), w.own)}
		}},
		{
			name:      "claimed ahead for another namespace",
			want:      conflict,
			candidate: newPush,
			given: func(w world) []client.Object {
				return []client.Object{claim(w.host("x"), w.other)}
			},
		},
		{
			name:      "claimed ahead for another namespace, RTS",
			want:      conflict,
			candidate: newRTS,
			given: func(w world) []client.Object {
				return []client.Object{claim(w.host("x"), w.other)}
			},
		},
	}
}

func classRules() []rule {
	domain := func(class string) func(world) client.Object {
		return func(w world) client.Object { return push(w.own, "d", w.host("x"), class) }
	}
	live := func(class string) func(world) client.Object {
		return func(w world) client.Object { return rts(w.own, "d", w.host("x"), class) }
	}
	moved := func(o func(string) func(world) client.Object) func(world) []client.Object {
		return func(w world) []client.Object { return []client.Object{o(classDefault)(w)} }
	}
	const notPermitted, notGranted = v1alpha1.ReasonHostnameNotPermitted, v1alpha1.ReasonRTSNotGranted
	return []rule{
		{name: "no such class", given: nothing, candidate: domain("nowhere"), want: v1alpha1.ReasonClassNotFound},
		{name: "no such class, play", given: nothing, candidate: live("nowhere"), want: v1alpha1.ReasonClassNotFound},
		{
			name:      "a class that no object can be named",
			given:     nothing,
			candidate: domain("a/b"),
			want:      v1alpha1.ReasonClassNotFound,
		},
		{name: "an unusable class", given: nothing, candidate: domain(classBroken), want: v1alpha1.ReasonClassInvalid},
		{
			name:      "moved to no such class",
			given:     moved(domain),
			candidate: domain("nowhere"),
			want:      v1alpha1.ReasonClassNotFound,
		},
		{name: "moved to another class", given: moved(domain), candidate: domain(classZone)},
		{name: "a class of others", given: nothing, candidate: domain(classClosed), want: v1alpha1.ReasonNamespaceNotServed},
		{name: "a class of others, play", given: nothing, candidate: live(classClosed),
			want: v1alpha1.ReasonNamespaceNotServed},
		{name: "moved to a class of others", given: moved(domain), candidate: domain(classClosed),
			want: v1alpha1.ReasonNamespaceNotServed},
		{name: "a class of this namespace", given: nothing, candidate: domain(classClosed),
			labels: map[string]string{labelRTS: granted}},
		{name: "RTS, granted to nobody", given: nothing, candidate: live(classNoRTS), want: notGranted},
		{name: "RTS, granted to others", given: nothing, candidate: live(classByLabel), want: notGranted},
		{
			name:      "RTS, granted by a label",
			given:     nothing,
			candidate: live(classByLabel),
			labels:    map[string]string{labelRTS: granted},
		},
		{
			name:      "RTS, a label of another value",
			given:     nothing,
			candidate: live(classByLabel),
			labels:    map[string]string{labelRTS: "asked"},
			want:      notGranted,
		},
		{
			name:      "standard needs no grant",
			given:     nothing,
			candidate: func(w world) client.Object { return standard(w.own, "d", w.host("x"), classNoRTS) },
		},
		{name: "push needs no grant", given: nothing, candidate: domain(classNoRTS)},
		{name: "RTS, moved to a class without grant", given: moved(live), candidate: live(classNoRTS), want: notGranted},
		{name: "claims Never, no claim", given: nothing, candidate: domain(classNever), want: notPermitted},
		{name: "claims Never, no claim, RTS", given: nothing, candidate: live(classNever), want: notPermitted},
		{name: "claims Never, claimed ahead", candidate: domain(classNever), given: func(w world) []client.Object {
			return []client.Object{claim(w.host("x"), w.own)}
		}},
		{
			name:      "claims Never, claimed for another namespace",
			candidate: domain(classNever),
			want:      v1alpha1.ReasonHostnameConflict,
			given:     func(w world) []client.Object { return []client.Object{claim(w.host("x"), w.other)} },
		},
		{name: "claims SameSuffix, no suffixes", given: nothing, candidate: domain(classSuffix), want: notPermitted},
		{
			name:      "claims SameSuffix, not below",
			given:     nothing,
			candidate: domain(classSuffix),
			suffixes:  suffixOfOwn,
			want:      notPermitted,
		},
		{name: "claims SameSuffix, half a label", given: nothing, candidate: func(w world) client.Object {
			return push(w.own, "d", w.host("x")+"not-"+suffixOfOwn, classSuffix)
		}, suffixes: suffixOfOwn, want: notPermitted},
		{name: "claims SameSuffix, below", given: nothing, candidate: func(w world) client.Object {
			return push(w.own, "d", w.host("x")+"."+suffixOfOwn, classSuffix)
		}, suffixes: "other.io, " + suffixOfOwn},
		{
			name:      "claims SameSuffix, not below but claimed ahead",
			candidate: domain(classSuffix),
			suffixes:  suffixOfOwn,
			given: func(w world) []client.Object {
				return []client.Object{claim(w.host("x"), w.own)}
			},
		},
		{
			name:  "a class with a selector that cannot be used",
			given: nothing,
			want:  v1alpha1.ReasonInvalid,
			candidate: func(w world) client.Object {
				return &v1alpha1.MediaClass{
					ObjectMeta: meta(w.own),
					Spec:       v1alpha1.MediaClassSpec{RTS: &v1alpha1.RTSGrant{NamespaceSelector: *badSelector()}},
				}
			},
		},
		{name: "a class with a selector", given: nothing, candidate: func(w world) client.Object {
			return &v1alpha1.MediaClass{ObjectMeta: meta(w.own), Spec: v1alpha1.MediaClassSpec{RTS: &v1alpha1.RTSGrant{}}}
		}},
	}
}

func associationRules() []rule {
	associate := func(f func(string, string, string) *v1alpha1.DomainAssociation, child,
		main string) func(world) client.Object {
		return func(w world) client.Object { return f(w.own, child, main) }
	}
	second := func(w world) []client.Object { return []client.Object{standard(w.own, "play2", w.host("play2"))} }
	sub := func(w world) []client.Object { return []client.Object{subOf(w.own, "rts", "play")} }
	free := func(w world) []client.Object { return []client.Object{push(w.own, "push2", w.host("push2"))} }
	farPush := func(w world) []client.Object { return []client.Object{push(w.own, "far", w.host("far"), classRegionB)} }
	farRTS := func(w world) []client.Object { return []client.Object{rts(w.own, "far", w.host("far"), classRegionB)} }
	return []rule{
		{
			name:      "push to a second main",
			given:     and(service, second),
			candidate: associate(pushTo, "push", "play2"),
			want:      v1alpha1.ReasonPushDomainAlreadyAssociated,
		},
		{
			name:  "push to the same main again",
			given: service,
			want:  v1alpha1.ReasonPushDomainAlreadyAssociated,
			candidate: func(w world) client.Object {
				a := pushTo(w.own, "push", "play")
				a.Name = "again"
				return a
			},
		},
		{name: "a second push domain of a main", given: and(service, free), candidate: associate(pushTo, "push2", "play")},
		{name: "push straight to an RTS main", given: and(service, free), candidate: associate(pushTo, "push2", "rts")},
		{
			name:      "push to a sub",
			given:     and(and(service, sub), free),
			candidate: associate(pushTo, "push2", "rts"),
			want:      v1alpha1.ReasonMainIsSub,
		},
		{name: "RTS below standard", given: service, candidate: associate(subOf, "rts", "play")},
		{
			name:      "standard below RTS",
			candidate: associate(subOf, "play2", "rts"),
			given: and(and(service, second), func(w world) []client.Object {
				return []client.Object{push(w.own, "push2", w.host("push2")), pushTo(w.own, "push2", "rts")}
			}),
		},
		{name: "standard below standard", given: and(service, second), candidate: associate(subOf, "play2", "play")},
		{name: "a second sub of a main", given: and(and(service, sub), second), candidate: associate(subOf, "play2", "play")},
		{
			name:      "a sub below a second main",
			given:     and(and(service, sub), second),
			candidate: associate(subOf, "rts", "play2"),
			want:      v1alpha1.ReasonSubAlreadyAssociated,
		},
		{
			name:  "a sub below the same main again",
			given: and(service, sub),
			want:  v1alpha1.ReasonSubAlreadyAssociated,
			candidate: func(w world) client.Object {
				a := subOf(w.own, "rts", "play")
				a.Name = "again"
				return a
			},
		},
		{
			name:      "a sub below a sub",
			given:     and(and(service, sub), second),
			candidate: associate(subOf, "play2", "rts"),
			want:      v1alpha1.ReasonMainIsSub,
		},
		{
			name:      "a main with push domains becomes a sub",
			given:     and(service, second),
			candidate: associate(subOf, "play", "play2"),
			want:      v1alpha1.ReasonSubIsMain,
		},
		{name: "a main with subs becomes a sub", given: and(service, func(w world) []client.Object {
			return []client.Object{
				standard(w.own, "play2", w.host("play2")),
				rts(w.own, "rts2", w.host("rts2")),
				subOf(w.own, "rts2", "rts"),
			}
		}), candidate: associate(subOf, "rts", "play2"), want: v1alpha1.ReasonSubIsMain},
		{
			name:      "push of another region",
			given:     and(service, farPush),
			candidate: associate(pushTo, "far", "play"),
			want:      v1alpha1.ReasonRegionMismatch,
		},
		{
			name:      "a sub of another region",
			given:     and(service, farRTS),
			candidate: associate(subOf, "far", "play"),
			want:      v1alpha1.ReasonRegionMismatch,
		},
		{name: "another class of the same region", given: and(service, func(w world) []client.Object {
			return []client.Object{rts(w.own, "near", w.host("near"), classZone)}
		}), candidate: associate(subOf, "near", "play")},
		{name: "a main that does not exist yet", given: and(service, free), candidate: associate(pushTo, "push2", "later")},
		{
			name:      "a main that exists in another namespace only",
			candidate: associate(pushTo, "push2", "there"),
			given: and(service, func(w world) []client.Object {
				return []client.Object{push(w.own, "push2", w.host("push2")), standard(w.other, "there", w.host("there"))}
			}),
		},
		{
			name:      "an association elsewhere binds nothing here",
			candidate: associate(pushTo, "push2", "play"),
			given: and(service, func(w world) []client.Object {
				return []client.Object{push(w.own, "push2", w.host("push2")), pushTo(w.other, "push2", "play")}
			}),
		},
		{
			name:      "a binding of a missing main counts",
			want:      v1alpha1.ReasonPushDomainAlreadyAssociated,
			candidate: associate(pushTo, "push2", "play"),
			given: and(service, func(w world) []client.Object {
				return []client.Object{push(w.own, "push2", w.host("push2")), pushTo(w.own, "push2", "later")}
			}),
		},
		{
			name:      "a rejected association reserves nothing",
			candidate: associate(pushTo, "far", "home"),
			given: and(and(service, farPush), func(w world) []client.Object {
				return []client.Object{standard(w.own, "home", w.host("home"), classRegionB), pushTo(w.own, "far", "play")}
			}),
		},
	}
}

func templateRules() []rule {
	template := func(id, main string, apps ...v1alpha1.AppName) func(world) client.Object {
		return func(w world) client.Object { return audio(w.own, "second", id, main, apps...) }
	}
	with := func(apps ...v1alpha1.AppName) func(world) []client.Object {
		return and(
			service,
			func(w world) []client.Object { return []client.Object{audio(w.own, "first", "opus", "play", apps...)} },
		)
	}
	sub := and(service, func(w world) []client.Object { return []client.Object{subOf(w.own, "rts", "play")} })
	const conflict = v1alpha1.ReasonTemplateIDConflict
	return []rule{
		{name: "a template of a main", given: service, candidate: template("opus", "play")},
		{name: "a template of a sub", given: sub, candidate: template("opus", "rts"), want: v1alpha1.ReasonPlayDomainIsSub},
		{name: "the same id, all apps", given: with(), candidate: template("opus", "play"), want: conflict},
		{name: "the same id, all apps and one", given: with(), candidate: template("opus", "play", "live"), want: conflict},
		{name: "the same id, one app and all", given: with("live"), candidate: template("opus", "play"), want: conflict},
		{
			name:      "the same id, apps that overlap",
			given:     with("live", "event"),
			candidate: template("opus", "play", "event", "show"),
			want:      conflict,
		},
		{name: "the same id, other apps", given: with("live"), candidate: template("opus", "play", "event")},
		{name: "another id", given: with(), candidate: template("opus2", "play")},
		{name: "the same id in capitals is another", given: with(), candidate: template("Opus", "play")},
		{
			name:      "the same id on another main",
			candidate: template("opus", "rts"),
			given: and(with(), func(w world) []client.Object {
				return []client.Object{push(w.own, "push2", w.host("push2")), pushTo(w.own, "push2", "rts")}
			}),
		},
		{
			name:      "the apps of a template grow into another's",
			want:      conflict,
			candidate: template("opus", "play", "event", "live"),
			given: and(
				with("live"),
				func(w world) []client.Object { return []client.Object{audio(w.own, "second", "opus", "play", "event")} },
			),
		},
		{name: "a play domain that does not exist yet", given: service, candidate: template("opus", "later")},
	}
}
