package compile_test

import (
	"encoding/json"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"sigs.k8s.io/yaml"

	"github.com/millrace/millrace/internal/compile"
	"github.com/millrace/millrace/internal/compile/manifests"
	"github.com/millrace/millrace/internal/contract/plan"
	"github.com/millrace/millrace/internal/testkit"
)

// TestGolden compiles testdata/*.in.yaml and compares with *.out.yaml. The first line of a case says the rule that it
// is about.
func TestGolden(t *testing.T) {
	for name, in := range goldenInputs(t) {
		t.Run(name, func(t *testing.T) {
			out := compile.Compile(in)
			wantSound(t, out)
			got, err := yaml.Marshal(out)
			if err != nil {
				t.Fatal(err)
			}
			testkit.Golden(t, filepath.Join("testdata", name+".out.yaml"), got)
		})
	}
}

// TestOrderOfInputDoesNotMatter shuffles the objects of every case.
func TestOrderOfInputDoesNotMatter(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	for name, in := range goldenInputs(t) {
		want := encode(t, compile.Compile(in))
		for range 6 {
			shuffle(random, &in)
			if got := encode(t, compile.Compile(in)); got != want {
				t.Errorf("%s: another order gives another result:\n%s", name, cmp.Diff(want, got))
				break
			}
		}
	}
}

// TestCompileLeavesItsInputAlone compiles twice and wants the same.
func TestCompileLeavesItsInputAlone(t *testing.T) {
	for name, in := range goldenInputs(t) {
		before := encode(t, in)
		first, second := encode(t, compile.Compile(in)), encode(t, compile.Compile(in))
		if first != second || encode(t, in) != before {
			t.Errorf("%s: the first call changed what the second one saw", name)
		}
	}
}

func TestOnePlanJoinsClasses(t *testing.T) {
	inputs := goldenInputs(t)
	out := compile.Compile(inputs["two-classes-of-a-region"])
	if len(out.Plans) != 2 {
		t.Fatalf("got %d plans, want 2", len(out.Plans))
	}
	all := out.OnePlan()
	if err := plan.Validate(all); err != nil {
		t.Errorf("the joined plan is not valid: %v", err)
	}
	if len(all.Push) != 1 || len(all.Play) != 2 || len(all.Templates) != 1 {
		t.Errorf(
			"got %d push domains, %d play domains and %d templates, want 1, 2 and 1",
			len(all.Push),
			len(all.Play),
			len(all.Templates),
		)
	}
	if out.Plan("shared") == nil || out.Plan("gone") != nil {
		t.Error("Plan does not find a class by its name")
	}
	none, one := compile.Output{}.OnePlan(), compile.Compile(inputs["push-to-rts-main"]).OnePlan()
	if none.Class != all.Class || one.Class != all.Class {
		t.Errorf(
			"the joined plan of none, one and two classes is for %q, %q and %q: want one name",
			none.Class,
			one.Class,
			all.Class,
		)
	}
}

// wantSound checks what holds for every result.
func wantSound(t *testing.T, out compile.Output) {
	t.Helper()
	if err := plan.Validate(out.OnePlan()); err != nil {
		t.Errorf("all plans joined: %v", err)
	}
	for _, p := range out.Plans {
		if err := plan.Validate(p); err != nil {
			t.Errorf("plan of class %s: %v", p.Class, err)
		}
	}
	for _, v := range out.Verdicts {
		if v.Reason == "" || v.Message == "" || len(v.Conditions) == 0 || v.Conditions[0].Type != "Accepted" {
			t.Errorf("%s %s/%s: the verdict is not complete: %+v", v.Kind, v.Namespace, v.Name, v)
		}
		if !v.Accepted && len(v.Problems) == 0 {
			t.Errorf("%s %s/%s: rejected without a problem", v.Kind, v.Namespace, v.Name)
		}
	}
}

func goldenInputs(t *testing.T) map[string]compile.Input {
	t.Helper()
	files, err := filepath.Glob("testdata/*.in.yaml")
	if err != nil || len(files) < 45 {
		t.Fatalf("there are %d cases (%v), want 45 or more", len(files), err)
	}
	loader, err := manifests.NewLoader()
	if err != nil {
		t.Fatal(err)
	}
	inputs := map[string]compile.Input{}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		set, findings := loader.Parse(file, text)
		for _, f := range findings {
			t.Errorf("the case is not valid: %v", f)
		}
		inputs[strings.TrimSuffix(filepath.Base(file), ".in.yaml")] = set.Input
	}
	return inputs
}

func shuffle(random *rand.Rand, in *compile.Input) {
	random.Shuffle(
		len(in.PushDomains),
		func(i, j int) { in.PushDomains[i], in.PushDomains[j] = in.PushDomains[j], in.PushDomains[i] },
	)
	random.Shuffle(
		len(in.PlayDomains),
		func(i, j int) { in.PlayDomains[i], in.PlayDomains[j] = in.PlayDomains[j], in.PlayDomains[i] },
	)
	random.Shuffle(
		len(in.Associations),
		func(i, j int) { in.Associations[i], in.Associations[j] = in.Associations[j], in.Associations[i] },
	)
	random.Shuffle(
		len(in.Templates),
		func(i, j int) { in.Templates[i], in.Templates[j] = in.Templates[j], in.Templates[i] },
	)
	random.Shuffle(len(in.Classes), func(i, j int) { in.Classes[i], in.Classes[j] = in.Classes[j], in.Classes[i] })
	random.Shuffle(len(in.Claims), func(i, j int) { in.Claims[i], in.Claims[j] = in.Claims[j], in.Claims[i] })
	random.Shuffle(len(in.Secrets), func(i, j int) { in.Secrets[i], in.Secrets[j] = in.Secrets[j], in.Secrets[i] })
	random.Shuffle(
		len(in.Namespaces),
		func(i, j int) { in.Namespaces[i], in.Namespaces[j] = in.Namespaces[j], in.Namespaces[i] },
	)
}

func encode(t *testing.T, value any) string {
	t.Helper()
	text, err := json.MarshalIndent(value, "", " ")
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}
