package render_test

import (
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"

	"github.com/millrace/millrace/controllers/render"
	"github.com/millrace/millrace/internal/contract"
)

// An image that a class kept through an upgrade of the operator is asked for what it may know alone: a container that
// it does not know would keep its pods from being ready.
func TestAKeptImageRunsNothingNew(t *testing.T) {
	for _, c := range []struct {
		role contract.Role
		kept bool
		runs string // by which image the pods that are there run it
		want int
	}{{contract.Relay, false, "", 2}, {contract.Relay, true, "", 1}, {contract.Relay, true, "another", 1},
		{contract.Relay, true, "i", 2}, {contract.Ingest, false, "", 1}, {contract.Edge, false, "", 1}} {
		p := &render.Pool{Class: "default", Role: c.role, Image: "i", Kept: c.kept}
		live := &appsv1.Deployment{}
		if c.runs != "" {
			live.Spec.Template.Spec.Containers = []corev1.Container{
				{Name: contract.Name, Image: c.runs},
				{Name: contract.CommandFarewell, Image: c.runs},
			}
		}
		p.Pinned = render.Pin(p, live)
		template := render.Template(p)
		if n := len(template.Spec.Containers); n != c.want || template.Spec.Containers[0].Name != contract.Name {
			t.Errorf(
				"%s, kept %v, there by image %q: %d containers, want %d, the first one %s",
				c.role,
				c.kept,
				c.runs,
				n,
				c.want,
				contract.Name,
			)
		}
	}
}

// What runs beside a relay does not take its quality of service away.
func TestAGuaranteedRelayStaysSo(t *testing.T) {
	list := func(cpu, memory string) corev1.ResourceList {
		l := corev1.ResourceList{}
		if cpu != "" {
			l[corev1.ResourceCPU] = resource.MustParse(cpu)
		}
		if memory != "" {
			l[corev1.ResourceMemory] = resource.MustParse(memory)
		}
		return l
	}
	for name, c := range map[string]struct {
		requests, limits corev1.ResourceList
		want             bool
	}{
		"nothing said":         {nil, nil, false},
		"equal":                {list("2", "4Gi"), list("2000m", "4Gi"), true},
		"limits alone":         {nil, list("2", "4Gi"), true},
		"less CPU asked for":   {list("1", "4Gi"), list("2", "4Gi"), false},
		"no limit for memory":  {list("2", "4Gi"), list("2", ""), false},
		"nothing but requests": {list("2", "4Gi"), nil, false},
	} {
		p := &render.Pool{Class: "default", Role: contract.Relay, Image: "i"}
		p.Spec.Resources = corev1.ResourceRequirements{Requests: c.requests, Limits: c.limits}
		r := render.Template(p).Spec.Containers[1].Resources
		equal := len(r.Requests) == len(r.Limits)
		for n, q := range r.Requests {
			limit := r.Limits[n]
			equal = equal && q.Cmp(limit) == 0
		}
		if equal != c.want {
			t.Errorf("%s: %v", name, r)
		}
	}
}
