package board

import (
	"cmp"
	"fmt"
	"maps"
	"slices"

	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/millrace/millrace/api/v1alpha1"
	"github.com/millrace/millrace/internal/compile"
	"github.com/millrace/millrace/internal/contract/bundle"
	"github.com/millrace/millrace/internal/contract/plan"
)

// part is an entry of a Plan: a domain by its hostname, or a template by the hostname of its main and its id.
type part struct{ host, template string }

// owned is a part with whom it belongs to.
type owned struct {
	part      part
	namespace string
	object    client.Object
}

// fit takes out of each Plan what would make it too large to be delivered. Namespaces share what can be delivered:
// those with less than an equal share keep all, the others keep their oldest domains. So a tenant who asks for too much
// gets less, and takes nothing from the others.
func (r *Result) fit(in *compile.Input) {
	var owners map[part]owned
	for class, p := range r.plans {
		gone := map[part]bool{}
		for _, view := range []*plan.Plan{p.ForIngest(), p.ForRelay(), p.ForEdge(), p.ForTranscoder()} {
			if bundle.Bound(view) <= bundle.Capacity {
				continue
			}
			if owners == nil {
				owners = r.owners(in)
			}
			for at := range excess(view, owners, bundle.Capacity) {
				gone[at] = true
				if d := r.decisions[keyOf(owners[at].object)]; d != nil {
					d.LeftOut = "the configuration of the class is too large to be delivered, and this namespace has more than " +
						"its share of it: use smaller certificate chains and shorter lists, or move domains to another class"
				}
			}
		}
		if len(gone) > 0 {
			r.plans[class] = only(p, func(at part) bool { return !gone[at] })
		}
	}
}

// owners maps the parts of all Plans to the objects that they come from.
func (r *Result) owners(in *compile.Input) map[part]owned {
	out := map[part]owned{}
	for i := range in.PushDomains {
		o := &in.PushDomains[i]
		if d := r.decisions[keyOf(o)]; d != nil && d.Accepted {
			out[part{host: string(o.Spec.Hostname)}] = owned{part{host: string(o.Spec.Hostname)}, o.Namespace, o}
		}
	}
	for i := range in.PlayDomains {
		o := &in.PlayDomains[i]
		if d := r.decisions[keyOf(o)]; d != nil && d.Accepted {
			out[part{host: string(o.Spec.Hostname)}] = owned{part{host: string(o.Spec.Hostname)}, o.Namespace, o}
		}
	}
	for i := range in.Templates {
		o := &in.Templates[i]
		if d := r.decisions[keyOf(o)]; d != nil && d.Accepted && d.Main != "" {
			at := part{d.Main, o.Spec.TemplateID}
			out[at] = owned{at, o.Namespace, o}
		}
	}
	return out
}

func keyOf(o client.Object) Key {
	switch o.(type) {
	case *v1alpha1.PushDomain:
		return Key{v1alpha1.KindPushDomain, o.GetNamespace(), o.GetName()}
	case *v1alpha1.PlayDomain:
		return Key{v1alpha1.KindPlayDomain, o.GetNamespace(), o.GetName()}
	case *v1alpha1.RTSTranscodeTemplate:
		return Key{v1alpha1.KindRTSTranscodeTemplate, o.GetNamespace(), o.GetName()}
	}
	return Key{}
}

// only returns the Plan of those parts that are wanted. It shares the parts with the whole one.
func only(p *plan.Plan, wanted func(part) bool) *plan.Plan {
	out := &plan.Plan{Class: p.Class}
	for i := range p.Push {
		if wanted(part{host: p.Push[i].Hostname}) {
			out.Push = append(out.Push, p.Push[i])
		}
	}
	for i := range p.Play {
		if wanted(part{host: p.Play[i].Hostname}) {
			out.Play = append(out.Play, p.Play[i])
		}
	}
	for i := range p.Templates {
		if wanted(part{p.Templates[i].Space, p.Templates[i].ID}) {
			out.Templates = append(out.Templates, p.Templates[i])
		}
	}
	return out
}

func partsOf(p *plan.Plan) []part {
	var out []part
	for i := range p.Push {
		out = append(out, part{host: p.Push[i].Hostname})
	}
	for i := range p.Play {
		out = append(out, part{host: p.Play[i].Hostname})
	}
	for i := range p.Templates {
		out = append(out, part{p.Templates[i].Space, p.Templates[i].ID})
	}
	return out
}

// excess returns the parts that have to go for a Plan to fit into a capacity.
func excess(p *plan.Plan, owners map[part]owned, capacity int) map[part]bool {
	out := map[part]bool{}
	// The parts of a namespace compress a little better alone than between those of others, so the first try may leave
	// more than fits.
	kept := func(at part) bool { return !out[at] }
	for goal := capacity; size(only(p, kept)) > capacity && goal > 0; goal -= capacity / 16 {
		out = cut(p, owners, goal)
	}
	return out
}

// cut shares a capacity among the namespaces of a Plan and returns the parts that do not fit into their shares.
func cut(p *plan.Plan, owners map[part]owned, capacity int) map[part]bool {
	byNamespace := map[string][]owned{}
	for _, at := range partsOf(p) {
		o := owners[at]
		byNamespace[o.namespace] = append(byNamespace[o.namespace], owned{at, o.namespace, o.object})
	}
	sizes := map[string]int{}
	for namespace, parts := range byNamespace {
		sizes[namespace] = size(of(p, parts))
	}
	names := slices.SortedFunc(maps.Keys(sizes), func(a, b string) int {
		return cmp.Or(cmp.Compare(sizes[a], sizes[b]), cmp.Compare(a, b))
	})
	out := map[part]bool{}
	for i, namespace := range names {
		share := capacity / (len(names) - i) // of what those with less have left
		if sizes[namespace] <= share {
			capacity -= sizes[namespace]
			continue
		}
		capacity -= share
		parts := byNamespace[namespace]
		slices.SortStableFunc(parts, older)
		low, high := 0, len(parts) // the first low parts fit, the first high ones do not
		for low+1 < high {
			if middle := (low + high) / 2; size(of(p, parts[:middle])) <= share {
				low = middle
			} else {
				high = middle
			}
		}
		for _, o := range parts[low:] {
			out[o.part] = true
		}
	}
	return out
}

// older orders parts by the age of their objects, domains before templates.
func older(a, b owned) int {
	template := func(o owned) int { return min(len(o.part.template), 1) }
	if c := cmp.Compare(template(a), template(b)); c != 0 || a.object == nil || b.object == nil {
		return c
	}
	return cmp.Or(
		a.object.GetCreationTimestamp().Compare(b.object.GetCreationTimestamp().Time),
		cmp.Compare(fmt.Sprint(a.part), fmt.Sprint(b.part)),
	)
}

// of returns the Plan of some parts.
func of(p *plan.Plan, parts []owned) *plan.Plan {
	wanted := make(map[part]bool, len(parts))
	for _, o := range parts {
		wanted[o.part] = true
	}
	return only(p, func(at part) bool { return wanted[at] })
}

func size(p *plan.Plan) int {
	n, err := bundle.Size(p)
	if err != nil {
		return 0 // Plans always encode
	}
	return n
}
