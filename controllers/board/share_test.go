package board

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/millrace/millrace/api/v1alpha1"
	"github.com/millrace/millrace/internal/compile"
	"github.com/millrace/millrace/internal/contract"
	"github.com/millrace/millrace/internal/contract/bundle"
	"github.com/millrace/millrace/internal/contract/plan"
)

// greedy adds RTS domains with as long lists of random names as the API lets pass.
func greedy(in *compile.Input, namespace string, n, lists int) {
	random := rand.New(rand.NewPCG(1, uint64(len(namespace))))
	for i := range n {
		d := v1alpha1.PlayDomain{
			ObjectMeta: metav1.ObjectMeta{
				Namespace: namespace, Name: fmt.Sprintf("d%04d", i), CreationTimestamp: metav1.Unix(int64(1000+i), 0),
			},
			Spec: v1alpha1.PlayDomainSpec{
				Hostname: v1alpha1.Hostname(fmt.Sprintf("d%04d.%s.example.com", i, namespace)), Type: v1alpha1.PlayRTS,
			},
		}
		for range lists {
			name := make([]byte, 240)
			for k := range name {
				name[k] = "abcdefghijklmnopqrstuvwxyz0123456789-."[random.IntN(38)]
			}
			d.Spec.Access.Referers = append(d.Spec.Access.Referers, v1alpha1.Referer(name))
		}
		in.PlayDomains = append(in.PlayDomains, d)
	}
}

// A namespace that asks for more than can be delivered loses its newest domains; the others keep theirs, and the Plan
// is delivered.
func TestATooLargePlanIsCutWhereItIsTooLarge(t *testing.T) {
	in := compile.Input{Classes: []v1alpha1.MediaClass{compile.DefaultClass()}}
	greedy(&in, "greedy", 400, 128)
	greedy(&in, "modest", 20, 8)
	out := compile.Compile(in)
	if _, _, err := bundle.Encode(out.Plan("default").ForRelay(), bundle.Pool{Role: contract.Relay}); err == nil {
		t.Fatal("the case is too small: all of it can be delivered")
	}
	r := resultOf(&in, out)
	r.fit(&in)
	p := r.Plan("default")
	if _, _, err := bundle.Encode(p.ForRelay(), bundle.Pool{Role: contract.Relay}); err != nil {
		t.Errorf("the plan cannot be delivered: %v", err)
	}
	kept := map[string]int{}
	for i := range in.PlayDomains {
		o := &in.PlayDomains[i]
		d := r.Find(Key{v1alpha1.KindPlayDomain, o.Namespace, o.Name})
		there := slices.ContainsFunc(p.Play, func(x plan.PlayDomain) bool { return x.Hostname == string(o.Spec.Hostname) })
		if there == (d.LeftOut != "") || !d.Accepted {
			t.Fatalf("%s/%s: in the plan %v, said %q", o.Namespace, o.Name, there, d.LeftOut)
		}
		if there {
			kept[o.Namespace]++
			if o.Namespace == "greedy" && o.CreationTimestamp.After(time.Unix(int64(1000+kept["greedy"]), 0)) {
				t.Fatalf("%s is in the plan and an older one is not", o.Name)
			}
		}
	}
	if kept["modest"] != 20 || kept["greedy"] < 50 || kept["greedy"] > 350 {
		t.Errorf("kept %v: want all 20 of the modest and most of what fits of the greedy", kept)
	}
}

// What fits is left alone, many small domains too.
func TestAPlanThatFitsIsNotCut(t *testing.T) {
	in := compile.Input{Classes: []v1alpha1.MediaClass{compile.DefaultClass()}}
	greedy(&in, "many", 20_000, 0)
	out := compile.Compile(in)
	r := resultOf(&in, out)
	if r.fit(&in); len(r.Plan("default").Play) != 20_000 {
		t.Errorf("%d of 20000 domains are left", len(r.Plan("default").Play))
	}
}
