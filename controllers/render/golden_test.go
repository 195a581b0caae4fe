package render_test

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	appsv1 "k8s.io/api/apps/v1"
	"sigs.k8s.io/yaml"

	"github.com/millrace/millrace/api/v1alpha1"
	"github.com/millrace/millrace/controllers/apply"
	"github.com/millrace/millrace/controllers/render"
	"github.com/millrace/millrace/internal/contract"
	"github.com/millrace/millrace/internal/testkit"
)

// input is a case: a class, and what else its pool follows from.
type input struct {
	Class     v1alpha1.MediaClass `json:"class"`
	Role      contract.Role       `json:"role"`
	Image     string              `json:"image"`
	Slot      int32               `json:"slot,omitempty"`
	Pods      []string            `json:"pods,omitempty"`
	NodePorts map[string]int32    `json:"nodePorts,omitempty"`
}

func (in *input) pool() *render.Pool {
	p := render.PoolOf(&in.Class, in.Role)
	p.Image, p.Namespace, p.OperatorNamespace = in.Image, contract.MediaNamespace, contract.OperatorNamespace
	p.Pods, p.NodePorts, p.Pinned.Slot = in.Pods, in.NodePorts, in.Slot
	return &p
}

func load(t *testing.T, name string) *input {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("testdata", name+".in.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	in := &input{}
	if err := yaml.UnmarshalStrict(text, in); err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	return in
}

// TestGolden renders testdata/*.in.yaml and compares with *.out.yaml, in the form in which the objects are applied.
func TestGolden(t *testing.T) {
	files, err := filepath.Glob("testdata/*.in.yaml")
	if err != nil || len(files) == 0 {
		t.Fatalf("no cases: %v", err)
	}
	for _, file := range files {
		name := strings.TrimSuffix(filepath.Base(file), ".in.yaml")
		t.Run(name, func(t *testing.T) {
			var out bytes.Buffer
			for _, o := range render.Objects(load(t, name).pool()) {
				u, err := apply.Plain(o)
				if err != nil {
					t.Fatal(err)
				}
				annotations := u.GetAnnotations()
				delete(annotations, render.AnnotationTemplate) // the same as the template, as JSON
				u.SetAnnotations(annotations)
				text, err := yaml.Marshal(u.Object)
				if err != nil {
					t.Fatal(err)
				}
				out.WriteString("---\n")
				out.Write(text)
			}
			testkit.Golden(t, filepath.Join("testdata", name+".out.yaml"), out.Bytes())
		})
	}
}

// live is a pool's Deployment as the API server would have it.
func live(p *render.Pool) *appsv1.Deployment { return render.Deployment(p).DeepCopy() }

// TestTheTemplateStaysWhenTheOperatorRendersOtherwise is the promise that an upgrade of the operator restarts no media
// pod: the Deployment was made by another version, whose template had an argument that this one does not render.
func TestTheTemplateStaysWhenTheOperatorRendersOtherwise(t *testing.T) {
	p := load(t, "relay-hostport").pool()
	other := render.Template(p)
	other.Spec.Containers[0].Args = append(other.Spec.Containers[0].Args, "--of-another-version")
	p.Pinned = render.Pinned{Inputs: render.Inputs(p), Template: &other}
	before := live(p)

	q := load(t, "relay-hostport").pool()
	q.Pinned = render.Pin(q, before)
	if diff := cmp.Diff(before.Spec.Template, render.Deployment(q).Spec.Template); diff != "" {
		t.Errorf("the pod template changed with the operator (-before +after):\n%s", diff)
	}
	three := int32(3)
	q.Spec.Replicas = &three
	q.Pinned = render.Pin(q, before)
	if after := render.Deployment(q); *after.Spec.Replicas != 3 ||
		cmp.Diff(before.Spec.Template, after.Spec.Template) != "" {
		t.Error("more replicas are other pods")
	}
	q.Spec.Exposure.Advertise = []string{"203.0.113.7"}
	if q.Pinned = render.Pin(q, before); cmp.Diff(before.Spec.Template, render.Deployment(q).Spec.Template) != "" {
		t.Error("another address to advertise is other pods")
	}
}

func TestANewTemplateTakesTheOtherSlot(t *testing.T) {
	p := load(t, "relay-hostport").pool()
	p.Pinned = render.Pin(p, nil)
	slots := []int32{p.Pinned.Slot}
	for _, image := range []string{"millrace/media:2", "millrace/media:2", "millrace/media:3"} {
		before := live(p)
		p.Image = image
		p.Pinned = render.Pin(p, before)
		slots = append(slots, p.Pinned.Slot)
	}
	if diff := cmp.Diff([]int32{0, 1, 1, 0}, slots); diff != "" {
		t.Errorf("slots (-want +got):\n%s", diff)
	}
	q := load(t, "relay-clusterip").pool()
	q.Pinned = render.Pin(q, nil)
	before := live(q)
	q.Image = "millrace/media:2"
	if q.Pinned = render.Pin(q, before); q.Pinned.Slot != 0 {
		t.Error("a pool that takes no ports of nodes has slots")
	}
}

// TestPoolsShareANode puts all roles in both slots on one node's network: no two may have the same port.
func TestPoolsShareANode(t *testing.T) {
	taken := map[string]string{}
	for _, role := range contract.Roles() {
		for slot := range int32(2) {
			in := input{Role: role, Slot: slot, Image: "i"}
			in.Class.Name = "default"
			for _, pool := range []*v1alpha1.Pool{&in.Class.Spec.Pools.Ingest, &in.Class.Spec.Pools.Relay,
				&in.Class.Spec.Pools.Edge, &in.Class.Spec.Pools.Transcoder.Pool, &in.Class.Spec.Pools.Recorder} {
				pool.Exposure.Type = v1alpha1.ExposeHostNetwork
			}
			for _, l := range in.pool().Listeners() {
				at := string(l.Protocol) + string(rune(l.Host))
				who := string(role) + " " + l.Name
				if other, ok := taken[at]; ok {
					t.Errorf("%s in slot %d has port %d, which %s has", who, slot, l.Host, other)
				}
				taken[at] = who
			}
		}
	}
}
