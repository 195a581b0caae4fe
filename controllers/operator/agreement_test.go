package operator_test

import (
	"cmp"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/millrace/millrace/api/v1alpha1"
	"github.com/millrace/millrace/controllers/envtest"
	"github.com/millrace/millrace/internal/compile"
	"github.com/millrace/millrace/internal/compile/manifests"
	"github.com/millrace/millrace/internal/testkit"
)

// The same manifests, run by standalone's compile and by the operator in a cluster, have the same verdicts: the same
// conditions with the same reasons and the same messages.
func TestStandaloneAndTheClusterAgree(t *testing.T) {
	c := installed(t)
	removeWebhook(t, c) // some of the manifests are wrong on purpose
	run(t, c, "--default-class", classFile(t))
	compared, skipped := 0, 0
	for i, set := range manifestSets(t) {
		if why := notInACluster(set.input); why != "" {
			skipped++
			t.Logf("%s is left out: %s", set.name, why)
			continue
		}
		t.Run(set.name, func(t *testing.T) { compared += agree(t, c, place(set.input, i)) })
	}
	t.Logf("%d verdicts compared, %d sets left out", compared, skipped)
	if compared < 150 || skipped > 15 {
		t.Errorf("%d verdicts were compared and %d sets left out: want at least 150 and at most 15", compared, skipped)
	}
	installed(t)
}

type manifestSet struct {
	name  string
	input compile.Input
}

// manifestSets are the examples and the cases of the compile function.
func manifestSets(t *testing.T) []manifestSet {
	t.Helper()
	var out []manifestSet
	files, err := filepath.Glob(filepath.Join(root, "internal/compile/testdata/*.in.yaml"))
	if err != nil || len(files) < 45 {
		t.Fatalf("there are %d cases (%v)", len(files), err)
	}
	loader, err := manifests.NewLoader()
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		set, findings := loader.Parse(file, text)
		if manifests.Errors(findings) > 0 {
			t.Fatalf("%s: %v", file, findings)
		}
		out = append(out, manifestSet{strings.TrimSuffix(filepath.Base(file), ".in.yaml"), set.Input})
	}
	for _, example := range []string{"quickstart", "existing-service", "multi-tenant"} {
		set, findings := manifests.Load([]string{filepath.Join(root, "examples", example)})
		if manifests.Errors(findings) > 0 {
			t.Fatalf("examples/%s: %v", example, findings)
		}
		if len(set.Input.Classes) == 0 {
			set.Input.Classes = []v1alpha1.MediaClass{compile.DefaultClass()}
		}
		out = append(out, manifestSet{"example " + example, set.Input})
	}
	return out
}

// notInACluster says what of a set a person cannot put into a cluster.
func notInACluster(in compile.Input) string {
	for i := range in.Claims {
		if in.Claims[i].Spec.ClaimRef != nil {
			return "it has a claim that names its owner: the operator writes that"
		}
	}
	var all []metav1.Object
	for _, o := range objectsOf(&in) {
		all = append(all, o)
	}
	for _, o := range all {
		if o.GetDeletionTimestamp() != nil {
			return "it has an object that is being deleted"
		}
	}
	return ""
}

// objectsOf lists all objects, what others refer to first, then by age.
func objectsOf(in *compile.Input) []client.Object {
	var out []client.Object
	out = append(out, pointers[corev1.Namespace](in.Namespaces)...)
	out = append(out, pointers[corev1.Secret](in.Secrets)...)
	out = append(out, pointers[v1alpha1.MediaClass](in.Classes)...)
	out = append(out, pointers[v1alpha1.DomainClaim](in.Claims)...)
	domains := append(pointers[v1alpha1.PushDomain](in.PushDomains), pointers[v1alpha1.PlayDomain](in.PlayDomains)...)
	out = append(out, byAge(domains)...)
	out = append(out, byAge(pointers[v1alpha1.DomainAssociation](in.Associations))...)
	return append(out, byAge(pointers[v1alpha1.RTSTranscodeTemplate](in.Templates))...)
}

func pointers[T any, P interface {
	*T
	client.Object
}](list []T) []client.Object {
	var out []client.Object
	for i := range list {
		out = append(out, P(&list[i]))
	}
	return out
}

func byAge(objects []client.Object) []client.Object {
	slices.SortStableFunc(objects, func(a, b client.Object) int {
		return cmp.Or(a.GetCreationTimestamp().Compare(b.GetCreationTimestamp().Time),
			cmp.Compare(a.GetNamespace(), b.GetNamespace()), cmp.Compare(a.GetName(), b.GetName()))
	})
	return objects
}

// place returns a set namespaces, classes and hostnames of its own, so that many sets are in one cluster.
func place(in compile.Input, n int) compile.Input {
	own := func(s string) string { return fmt.Sprintf("%s-set%d", s, n) }
	host := func(h v1alpha1.Hostname) v1alpha1.Hostname { return v1alpha1.Hostname(fmt.Sprintf("%s.set%d", h, n)) }
	class := func(name string) string {
		if name == "" {
			name = v1alpha1.DefaultClassName
		}
		return own(name)
	}
	for i := range in.Namespaces {
		ns := &in.Namespaces[i]
		ns.Name = own(ns.Name)
		if list := ns.Annotations[v1alpha1.AnnotationAllowedSuffixes]; list != "" {
			var suffixes []string
			for suffix := range strings.SplitSeq(list, ",") {
				suffixes = append(suffixes, fmt.Sprintf("%s.set%d", strings.Trim(strings.TrimSpace(suffix), "."), n))
			}
			ns.Annotations[v1alpha1.AnnotationAllowedSuffixes] = strings.Join(suffixes, ", ")
		}
	}
	for i := range in.Classes {
		k := &in.Classes[i]
		k.Name = own(k.Name)
		if k.Spec.RTS != nil {
			placeSelector(&k.Spec.RTS.NamespaceSelector, own)
		}
	}
	for i := range in.Claims {
		in.Claims[i].Name = string(host(v1alpha1.Hostname(in.Claims[i].Name)))
		in.Claims[i].Spec.Namespace = own(in.Claims[i].Spec.Namespace)
	}
	for i := range in.PushDomains {
		d := &in.PushDomains[i]
		d.Spec.Hostname, d.Spec.ClassName = host(d.Spec.Hostname), class(d.Spec.ClassName)
	}
	for i := range in.PlayDomains {
		d := &in.PlayDomains[i]
		d.Spec.Hostname, d.Spec.ClassName = host(d.Spec.Hostname), class(d.Spec.ClassName)
	}
	known := map[string]bool{}
	for i := range in.Namespaces {
		known[in.Namespaces[i].Name] = true
	}
	for _, o := range objectsOf(&in) {
		if o.GetNamespace() == "" {
			continue
		}
		o.SetNamespace(own(o.GetNamespace()))
		if ns := o.GetNamespace(); !known[ns] {
			known[ns] = true
			in.Namespaces = append(in.Namespaces, corev1.Namespace{ObjectMeta: meta(ns)})
		}
	}
	return in
}

// placeSelector renames the namespaces that a selector names.
func placeSelector(s *metav1.LabelSelector, own func(string) string) {
	if name, ok := s.MatchLabels[corev1.LabelMetadataName]; ok {
		s.MatchLabels[corev1.LabelMetadataName] = own(name)
	}
	for i := range s.MatchExpressions {
		if s.MatchExpressions[i].Key == corev1.LabelMetadataName {
			for j, name := range s.MatchExpressions[i].Values {
				s.MatchExpressions[i].Values[j] = own(name)
			}
		}
	}
}

// agree puts a set into the cluster and compares what the operator says of each object with what compile says.
func agree(t *testing.T, c *envtest.Cluster, in compile.Input) int {
	out := compile.Compile(in)
	objects := objectsOf(&in)
	for _, o := range objects {
		o.SetUID("")
		fresh := o.DeepCopyObject().(client.Object)
		fresh.SetResourceVersion("")
		fresh.SetCreationTimestamp(metav1.Time{})
		if err := c.Create(t.Context(), fresh); err != nil && !apierrors.IsAlreadyExists(err) {
			t.Fatalf("create %T %s: %v", o, client.ObjectKeyFromObject(o), err)
		}
		switch o.(type) {
		case *corev1.Namespace, *corev1.Secret, *v1alpha1.DomainClaim:
		default:
			settle(t, c, o.GetName(), o) // who is first is decided before the next one comes
		}
	}
	// What is taken as made offline is made here: with these claims among the manifests, an object that is refused twice
	// over is refused for the same reason first.
	claimed := compile.Compile(withClaims(t, c, in))
	compared := 0
	for _, o := range objects {
		plain, verdict := verdictOf(out, o), verdictOf(claimed, o)
		if plain == nil || verdict == nil || verdict.Kind == v1alpha1.KindDomainClaim {
			continue
		}
		if plain.Accepted != verdict.Accepted {
			t.Errorf(
				"%T %s: accepted is %v by the manifests, and %v with the claims of the cluster",
				o,
				client.ObjectKeyFromObject(o),
				plain.Accepted,
				verdict.Accepted,
			)
		}
		for _, want := range verdict.Conditions {
			compared++
			wantSame(t, c, o, want)
		}
	}
	return compared
}

// withClaims adds the claims that the operator has made, and the uids that they name.
func withClaims(t *testing.T, c *envtest.Cluster, in compile.Input) compile.Input {
	t.Helper()
	var claims v1alpha1.DomainClaimList
	if err := c.List(t.Context(), &claims); err != nil {
		t.Fatal(err)
	}
	hosts := map[string]bool{}
	for _, v := range compile.Compile(in).Verdicts {
		hosts[v.Hostname] = true
	}
	in.Claims = slices.DeleteFunc(claims.Items, func(claim v1alpha1.DomainClaim) bool { return !hosts[claim.Name] })
	for _, o := range objectsOf(&in) {
		there := o.DeepCopyObject().(client.Object)
		if err := c.Get(t.Context(), client.ObjectKeyFromObject(o), there); err != nil {
			t.Fatal(err)
		}
		o.SetUID(there.GetUID())
	}
	return in
}

func verdictOf(out compile.Output, o client.Object) *compile.Verdict {
	kind := strings.TrimPrefix(fmt.Sprintf("%T", o), "*v1alpha1.")
	for i := range out.Verdicts {
		v := &out.Verdicts[i]
		if v.Kind == kind && v.Namespace == o.GetNamespace() && v.Name == o.GetName() {
			return v
		}
	}
	return nil
}

func wantSame(t *testing.T, c *envtest.Cluster, o client.Object, want compile.Condition) {
	t.Helper()
	testkit.Succeeds(t, func() error {
		got, err := decided(t.Context(), c, o, want.Type)
		if err != nil {
			return err
		}
		if got.Status != want.Status || got.Reason != string(want.Reason) || got.Message != want.Message {
			return fmt.Errorf(
				"%T %s: %s is\n %s %s: %s\nin the cluster, and\n %s %s: %s\noffline",
				o,
				client.ObjectKeyFromObject(o),
				want.Type,
				got.Status,
				got.Reason,
				got.Message,
				want.Status,
				want.Reason,
				want.Message,
			)
		}
		return nil
	})
}
