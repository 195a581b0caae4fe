// Package charts holds no code: its tests keep the Helm chart and config/default the same, and what the operator may do
// small.
package charts

import (
	"bytes"
	"context"
	"errors"
	"io"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	utilyaml "k8s.io/apimachinery/pkg/util/yaml"
	"sigs.k8s.io/yaml"

	"github.com/millrace/millrace/internal/testkit"
)

// tool finds helm or kubectl among what hack/k8s builds.
func tool(t *testing.T, name string) string {
	t.Helper()
	folder, err := testkit.KubernetesAssets()
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(folder, name)
	if _, err := os.Stat(path); err != nil {
		testkit.Missing(t, path+" is missing: hack/k8s/assets.sh cluster builds it")
	}
	return path
}

func output(ctx context.Context, name string, args ...string) (string, error) {
	command := exec.CommandContext(ctx, name, args...)
	var out, problems bytes.Buffer
	command.Stdout, command.Stderr = &out, &problems
	if err := command.Run(); err != nil {
		return "", errors.Join(err, errors.New(problems.String()))
	}
	return out.String(), nil
}

func kustomize(t *testing.T) map[string]*unstructured.Unstructured {
	t.Helper()
	text, err := output(t.Context(), tool(t, "kubectl"), "kustomize", "../config/default")
	if err != nil {
		t.Fatalf("kubectl kustomize config/default: %v", err)
	}
	return objects(t, text)
}

func helm(t *testing.T, args ...string) (string, error) {
	t.Helper()
	return output(
		t.Context(),
		tool(t, "helm"),
		append([]string{"template", "millrace", "millrace", "--namespace", "millrace-system", "--skip-tests"}, args...)...)
}

// objects reads manifests, keyed by kind, namespace and name.
func objects(t *testing.T, text string) map[string]*unstructured.Unstructured {
	t.Helper()
	all := map[string]*unstructured.Unstructured{}
	decoder := utilyaml.NewYAMLOrJSONDecoder(strings.NewReader(text), 4096)
	for {
		o := &unstructured.Unstructured{}
		if err := decoder.Decode(&o.Object); errors.Is(err, io.EOF) {
			return all
		} else if err != nil {
			t.Fatalf("read the manifests: %v", err)
		}
		if len(o.Object) == 0 {
			continue
		}
		key := o.GetKind() + " " + o.GetNamespace() + "/" + o.GetName()
		if all[key] != nil {
			t.Errorf("%s is there twice", key)
		}
		all[key] = o
	}
}

// The chart with its default values and config/default install the same.
func TestChartAndKustomizeInstallTheSame(t *testing.T) {
	want := kustomize(t)
	text, err := helm(t)
	if err != nil {
		t.Fatal(err)
	}
	got := objects(t, text)
	// Helm makes the namespace of a release itself.
	delete(want, "Namespace /millrace-system")
	for key, o := range got {
		annotations := o.GetAnnotations()
		if o.GetKind() == "CustomResourceDefinition" && annotations["helm.sh/resource-policy"] != "keep" {
			t.Errorf("%s goes, with all objects of its kind, when the release is uninstalled", key)
		}
		delete(annotations, "helm.sh/resource-policy")
		o.SetAnnotations(annotations)
	}
	if diff := cmp.Diff(slices.Sorted(maps.Keys(want)), slices.Sorted(maps.Keys(got))); diff != "" {
		t.Errorf("the objects differ (-kustomize +chart):\n%s", diff)
	}
	if len(got) < 20 {
		t.Errorf("there are only %d objects", len(got))
	}
	for key, o := range want {
		if got[key] == nil {
			continue
		}
		if diff := cmp.Diff(normal(t, o), normal(t, got[key])); diff != "" {
			t.Errorf("%s differs (-kustomize +chart):\n%s", key, diff)
		}
	}
}

// normal returns an object with the YAML inside of a ConfigMap parsed: how it is indented does not matter.
func normal(t *testing.T, o *unstructured.Unstructured) map[string]any {
	t.Helper()
	if o.GetKind() != "ConfigMap" {
		return o.Object
	}
	copied := o.DeepCopy()
	data, _, err := unstructured.NestedStringMap(copied.Object, "data")
	if err != nil {
		t.Fatal(err)
	}
	parsed := map[string]any{}
	for name, text := range data {
		var value any
		if err := yaml.Unmarshal([]byte(text), &value); err != nil {
			t.Fatalf("%s of ConfigMap %s: %v", name, o.GetName(), err)
		}
		parsed[name] = value
	}
	copied.Object["data"] = parsed
	return copied.Object
}

// What the operator may do is reviewed: a change of it changes testdata/roles.yaml.
func TestTheOperatorMayDoLittle(t *testing.T) {
	all := kustomize(t)
	var rendered strings.Builder
	for _, key := range slices.Sorted(maps.Keys(all)) {
		o := all[key]
		if o.GetKind() != "Role" && o.GetKind() != "ClusterRole" {
			continue
		}
		rules, _, err := unstructured.NestedSlice(o.Object, "rules")
		if err != nil {
			t.Fatal(err)
		}
		for _, rule := range rules {
			for member, values := range rule.(map[string]any) {
				for _, value := range values.([]any) {
					if strings.Contains(value.(string), "*") {
						t.Errorf("%s: %s has the wildcard %s", key, member, value)
					}
					if value == "escalate" || value == "bind" || value == "impersonate" {
						t.Errorf("%s: the verb %s lets the operator give itself any right", key, value)
					}
				}
			}
		}
		text, err := yaml.Marshal(map[string]any{"role": key, "rules": rules})
		if err != nil {
			t.Fatal(err)
		}
		rendered.WriteString("---\n" + string(text))
	}
	testkit.Golden(t, "testdata/roles.yaml", []byte(rendered.String())) // review what changes, then -update
}

func TestValuesAreChecked(t *testing.T) {
	for _, set := range []string{
		"replica=3", "image.repo=x", "webhook.certs=SelfSigned", "webhook.port=0", "operator.kubeAPI.qps=0", "replicas=0",
		"mediaNamespace.name=", "crds.keep=yes",
		"image.pullPolicy=Sometimes",
	} {
		if _, err := helm(t, "--set", set); err == nil {
			t.Errorf("--set %s is accepted", set)
		}
	}
}

// What values change shows in what is rendered.
func TestValues(t *testing.T) {
	for name, test := range map[string]struct {
		set    []string
		has    []string
		hasNot []string
	}{
		"cert-manager": {
			set: []string{"webhook.certs=CertManager"},
			has: []string{"cert-manager.io/inject-ca-from: millrace-system/millrace-webhook", "kind: Certificate",
				"kind: Issuer", "--webhook-certs=CertManager", "secretName: millrace-webhook-tls"},
		},
		"cert-manager with an issuer": {
			set: []string{"webhook.certs=CertManager", "webhook.certManager.issuerRef.name=ours",
				"webhook.certManager.issuerRef.kind=ClusterIssuer"},
			has:    []string{"kind: ClusterIssuer", "name: ours"},
			hasNot: []string{"kind: Issuer", "selfSigned"},
		},
		"a certificate of one's own": {
			set:    []string{"webhook.certs=Provided", "webhook.secretName=mine"},
			has:    []string{"secretName: mine", "--webhook-certs=Provided"},
			hasNot: []string{"cert-manager"},
		},
		"host network": {
			set: []string{"webhook.hostNetwork=true", "webhook.port=9543"},
			has: []string{"hostNetwork: true", "--webhook-port=9543", "containerPort: 9543", "maxUnavailable: 1"},
		},
		"without CRDs": {set: []string{"crds.enabled=false"}, hasNot: []string{"kind: CustomResourceDefinition"}},
		"CRDs that go": {set: []string{"crds.keep=false"}, has: []string{"kind: CustomResourceDefinition"},
			hasNot: []string{"helm.sh/resource-policy"}},
		"no class": {set: []string{"defaultClass.create=false"}, hasNot: []string{"kind: ConfigMap"}},
		"another class": {set: []string{"defaultClass.spec.claims=Never"}, has: []string{"claims: Never"},
			hasNot: []string{"claims: Always"}},
		"another namespace": {set: []string{"mediaNamespace.name=video"}, has: []string{"--media-namespace=video",
			"namespace: video", "name: video"}, hasNot: []string{"millrace-media\n"}},
		"images": {set: []string{"image.tag=1.2", "mediaImage.repository=r.example/m", "mediaImage.tag=v7"},
			has: []string{"millrace-operator:1.2", "r.example/m:v7"}},
		"no tenant roles": {set: []string{"rbac.tenantRoles=false"}, hasNot: []string{"aggregate-to"}},
		"arguments": {set: []string{"operator.verbosity=2", "operator.concurrency=8",
			"operator.extraArgs={--ca-overlap=2h}"}, has: []string{"--verbosity=2", "--concurrency=8", `"--ca-overlap=2h"`}},
		"no network policy": {set: []string{"networkPolicy.enabled=false"}, hasNot: []string{"kind: NetworkPolicy"}},
		"no disruption limit": {set: []string{"podDisruptionBudget.enabled=false"},
			hasNot: []string{"kind: PodDisruptionBudget"}},
	} {
		t.Run(name, func(t *testing.T) {
			var args []string
			for _, set := range test.set {
				args = append(args, "--set", set)
			}
			text, err := helm(t, args...)
			if err != nil {
				t.Fatal(err)
			}
			objects(t, text)
			for _, want := range test.has {
				if !strings.Contains(text, want) {
					t.Errorf("%q is missing", want)
				}
			}
			for _, not := range test.hasNot {
				if strings.Contains(text, not) {
					t.Errorf("%q is there", not)
				}
			}
		})
	}
	if _, err := helm(t, "--set", "webhook.certs=Provided"); err == nil ||
		!strings.Contains(err.Error(), "webhook.secretName is needed") {
		t.Errorf("certs: Provided without a Secret: %v", err)
	}
}

func TestTheChartIsLinted(t *testing.T) {
	if out, err := output(t.Context(), tool(t, "helm"), "lint", "--strict", "millrace"); err != nil {
		t.Errorf("helm lint: %v\n%s", err, out)
	}
}
