package compile_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/millrace/millrace/api/v1alpha1"
	"github.com/millrace/millrace/internal/compile"
	"github.com/millrace/millrace/internal/contract/plan"
)

// The names that random objects are made of: few, so that they meet, and mostly good ones, so that the rules behind
// come into play.
func someNamespaces() []string {
	return []string{"tenant-one", "tenant-one", "tenant-one", "tenant-two"}
}

func someNames() []string { return []string{"a", "b", "c", "d"} }

func someHosts() []v1alpha1.Hostname {
	return []v1alpha1.Hostname{
		"a.example.com",
		"b.example.com",
		"c.example.com",
		"d.example.com",
		"e.example.com",
		"f.example.com",
		"g.example.com",
		"h.example.org",
	}
}

func someClasses() []string {
	return []string{"east", "east", "east", "east", "east", "west", "west", "closed", "broken", "gone"}
}

// TestRandomServicesAreSound compiles random sets of objects: the result does not depend on their order, and the domain
// rules hold in every Plan.
func TestRandomServicesAreSound(t *testing.T) {
	met := map[v1alpha1.Reason]int{}
	for seed := range uint64(600) {
		random := rand.New(rand.NewPCG(seed, 7))
		in := randomInput(random.IntN)
		out := compile.Compile(in)
		wantRules(t, in, out)
		for _, v := range out.Verdicts {
			for _, p := range v.Problems {
				met[p.Reason]++
			}
		}
		want := encode(t, out)
		for range 2 {
			shuffle(random, &in)
			if got := encode(t, compile.Compile(in)); got != want {
				t.Fatalf("seed %d: another order gives another result", seed)
			}
		}
		if t.Failed() {
			t.Fatalf("seed %d", seed)
		}
	}
	for _, reason := range []v1alpha1.Reason{
		v1alpha1.ReasonHostnameConflict, v1alpha1.ReasonHostnameNotPermitted, v1alpha1.ReasonClassNotFound,
		v1alpha1.ReasonClassInvalid,
		v1alpha1.ReasonRTSNotGranted, v1alpha1.ReasonPushDomainAlreadyAssociated, v1alpha1.ReasonSubAlreadyAssociated,
		v1alpha1.ReasonMainIsSub,
		v1alpha1.ReasonSubIsMain, v1alpha1.ReasonRegionMismatch, v1alpha1.ReasonPlayDomainIsSub,
		v1alpha1.ReasonTemplateIDConflict,
		v1alpha1.ReasonTerminating, v1alpha1.ReasonSecretNotFound, v1alpha1.ReasonSecretInvalid,
		v1alpha1.ReasonPushDomainNotFound,
		v1alpha1.ReasonPushDomainNotAccepted, v1alpha1.ReasonPlayDomainNotFound, v1alpha1.ReasonPlayDomainNotAccepted,
		v1alpha1.ReasonPlayDomainNotAssociated,
	} {
		if met[reason] < 5 {
			t.Errorf("the random services met %s %d times: make it likelier", reason, met[reason])
		}
	}
	t.Logf("met %v", met)
}

// FuzzCompile makes objects of bytes, also such as no CRD would let in.
func FuzzCompile(f *testing.F) {
	for seed := range uint64(20) {
		random := rand.New(rand.NewPCG(seed, 9))
		text := make([]byte, 400)
		for i := range text {
			text[i] = byte(random.IntN(256))
		}
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		in := randomInput(func(n int) int {
			if len(text) == 0 {
				return 0
			}
			next := int(text[0])
			text = text[1:]
			return next % n
		})
		wantRules(t, in, compile.Compile(in))
	})
}

// wantRules checks the domain rules on the result.
func wantRules(t *testing.T, in compile.Input, out compile.Output) {
	t.Helper()
	wantSound(t, out)
	owner, space, role := map[string]string{}, map[string]string{}, map[string]plan.Role{}
	for _, p := range out.Plans {
		for _, d := range p.Push {
			if other := owner[d.Hostname]; other != "" {
				t.Errorf("rule 1: %s is a push domain and a %s", d.Hostname, other)
			}
			owner[d.Hostname] = "push domain"
		}
		for _, d := range p.Play {
			if other := owner[d.Hostname]; other != "" {
				t.Errorf("rule 1: %s is a play domain and a %s", d.Hostname, other)
			}
			owner[d.Hostname], space[d.Hostname], role[d.Hostname] = "play domain", d.Space, d.Role
			if p.Class == "closed" && d.Type == plan.RTS {
				t.Errorf("rule 7: %s is RTS in a class that grants it to nobody", d.Hostname)
			}
		}
	}
	for host, main := range space {
		if role[host] == plan.Sub && role[main] != plan.Main {
			t.Errorf("rule 2: the main %s of the sub %s is %s", main, host, role[main])
		}
	}
	for _, p := range out.Plans {
		for _, d := range p.Push {
			if d.Space != "" && role[d.Space] != plan.Main {
				t.Errorf("rule 2: the main %s of the push domain %s is %s", d.Space, d.Hostname, role[d.Space])
			}
		}
		for _, tpl := range p.Templates {
			if role[tpl.Space] == plan.Sub {
				t.Errorf("rule 6: template %s is on the sub %s", tpl.ID, tpl.Space)
			}
		}
	}
	for _, v := range out.Verdicts {
		for _, ns := range someNamespaces() {
			if v.Namespace != "" && v.Namespace != ns && strings.Contains(v.Message, ns) {
				t.Errorf("%s %s/%s is told of %s: %s", v.Kind, v.Namespace, v.Name, ns, v.Message)
			}
		}
	}
	objects := len(in.PushDomains) + len(in.PlayDomains) + len(in.Associations) + len(in.Templates)
	tenants := slices.DeleteFunc(slices.Clone(out.Verdicts), func(v compile.Verdict) bool { return v.Namespace == "" })
	if len(tenants) != objects {
		t.Errorf("%d objects have %d verdicts", objects, len(tenants))
	}
}

// randomInput makes objects; pick(n) is a number from 0 to n-1.
func randomInput(pick func(n int) int) compile.Input {
	seen := map[string]bool{}
	meta := func(kind string) (metav1.ObjectMeta, bool) {
		m := metav1.ObjectMeta{Namespace: one(pick, someNamespaces()), Name: one(pick, someNames())}
		key := kind + m.Namespace + "/" + m.Name
		fresh := !seen[key]
		seen[key] = true
		m.CreationTimestamp = metav1.NewTime(time.Unix(int64(1000+pick(5)), 0))
		m.UID = types.UID(key)
		if pick(25) == 0 {
			m.DeletionTimestamp = &metav1.Time{Time: time.Unix(2000, 0)}
		}
		return m, fresh
	}
	ref := func() v1alpha1.DomainReference { return v1alpha1.DomainReference{Name: one(pick, someNames())} }
	auth := func() v1alpha1.Auth {
		a := v1alpha1.Auth{Type: one(pick, []v1alpha1.AuthType{v1alpha1.AuthNone, v1alpha1.AuthA, v1alpha1.AuthC})}
		if pick(3) > 0 {
			a.SecretRef = &v1alpha1.SecretReference{Name: one(pick, someNames())}
		}
		return a
	}

	in := compile.Input{Classes: []v1alpha1.MediaClass{
		{
			ObjectMeta: metav1.ObjectMeta{Name: "east"},
			Spec:       v1alpha1.MediaClassSpec{Region: "east", RTS: &v1alpha1.RTSGrant{}},
		},
		{
			ObjectMeta: metav1.ObjectMeta{Name: "west"},
			Spec:       v1alpha1.MediaClassSpec{Region: "west", RTS: &v1alpha1.RTSGrant{}, Claims: v1alpha1.ClaimsSameSuffix},
		},
		{
			ObjectMeta: metav1.ObjectMeta{Name: "closed"},
			Spec: v1alpha1.MediaClassSpec{
				Region: "east",
				Claims: one(pick, []v1alpha1.ClaimPolicy{v1alpha1.ClaimsNever, v1alpha1.ClaimsAlways}),
			},
		},
		{
			ObjectMeta: metav1.ObjectMeta{Name: "broken"},
			Spec: v1alpha1.MediaClassSpec{RTS: &v1alpha1.RTSGrant{NamespaceSelector: metav1.LabelSelector{
				MatchExpressions: []metav1.LabelSelectorRequirement{{Key: "a", Operator: "Maybe"}}}}},
		},
	}}
	for _, ns := range slices.Compact(someNamespaces()) {
		in.Namespaces = append(in.Namespaces, corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: ns,
			Annotations: map[string]string{
				v1alpha1.AnnotationAllowedSuffixes: one(
					pick,
					[]string{"", "example.com", "example.com", "example.org, a.example.com"},
				),
			}}})
	}
	for range pick(7) {
		if m, fresh := meta("push"); fresh {
			in.PushDomains = append(in.PushDomains, v1alpha1.PushDomain{ObjectMeta: m, Spec: v1alpha1.PushDomainSpec{
				Hostname: one(pick, someHosts()), ClassName: one(pick, someClasses()), Auth: auth()}})
		}
	}
	for range pick(14) {
		if m, fresh := meta("play"); fresh {
			in.PlayDomains = append(in.PlayDomains, v1alpha1.PlayDomain{ObjectMeta: m, Spec: v1alpha1.PlayDomainSpec{
				Hostname: one(pick, someHosts()), ClassName: one(pick, someClasses()), Auth: auth(),
				Type:        one(pick, []v1alpha1.PlayType{v1alpha1.PlayStandard, v1alpha1.PlayRTS}),
				BillingMode: one(pick, []v1alpha1.BillingMode{"", v1alpha1.BillingBandwidth})}})
		}
	}
	for range pick(12) {
		if m, fresh := meta("association"); fresh {
			a := v1alpha1.DomainAssociation{ObjectMeta: m}
			a.Spec.MainPlayDomainRef = ref()
			child := ref()
			switch pick(7) {
			case 0, 1, 2:
				a.Spec.Type, a.Spec.PushDomainRef = v1alpha1.PushToPlay, &child
			case 3, 4, 5:
				a.Spec.Type, a.Spec.SubPlayDomainRef = v1alpha1.MainToSub, &child
			}
			// A sub of itself is refused by the CRD.
			if a.Spec.SubPlayDomainRef == nil || child != a.Spec.MainPlayDomainRef {
				in.Associations = append(in.Associations, a)
			}
		}
	}
	for range pick(5) {
		if m, fresh := meta("template"); fresh {
			tpl := v1alpha1.RTSTranscodeTemplate{ObjectMeta: m, Spec: v1alpha1.RTSTranscodeTemplateSpec{
				TemplateID: one(pick, []string{"x", "y"}), Type: v1alpha1.TemplateAudio, PlayDomainRef: ref()}}
			if pick(2) == 0 {
				tpl.Spec.Apps = []v1alpha1.AppName{one(pick, []v1alpha1.AppName{"live", "show"})}
			}
			in.Templates = append(in.Templates, tpl)
		}
	}
	for _, host := range someHosts() {
		if pick(8) > 0 {
			continue
		}
		claim := v1alpha1.DomainClaim{
			ObjectMeta: metav1.ObjectMeta{Name: string(host)},
			Spec:       v1alpha1.DomainClaimSpec{Namespace: one(pick, someNamespaces())},
		}
		if pick(2) == 0 {
			kind := one(pick, []string{v1alpha1.KindPushDomain, v1alpha1.KindPlayDomain})
			claim.Spec.ClaimRef = &v1alpha1.ClaimReference{
				Kind:      kind,
				Namespace: claim.Spec.Namespace,
				Name:      one(pick, someNames()),
			}
		}
		in.Claims = append(in.Claims, claim)
	}
	for range pick(4) {
		if m, fresh := meta("secret"); fresh {
			in.Secrets = append(in.Secrets, corev1.Secret{ObjectMeta: m, Data: map[string][]byte{
				one(pick, []string{"primary", "backup"}): []byte(fmt.Sprintf("key%0*d", pick(20), 1))}})
		}
	}
	return in
}

func one[T any](pick func(n int) int, list []T) T { return list[pick(len(list))] }
