package fleet

import (
	"encoding/json"
	"hash/fnv"

	"github.com/millrace/millrace/internal/contract"
	"github.com/millrace/millrace/internal/contract/plan"
)

// PoolKey names a pool.
type PoolKey struct {
	Class string
	Role  contract.Role
}

// ForRole returns what the pods of a role need of a Plan.
func ForRole(p *plan.Plan, role contract.Role) *plan.Plan {
	switch role {
	case contract.Ingest:
		return p.ForIngest()
	case contract.Relay:
		return p.ForRelay()
	case contract.Edge:
		return p.ForEdge()
	case contract.Transcoder:
		return p.ForTranscoder()
	default:
		return &plan.Plan{Class: p.Class}
	}
}

// Needs reports whether a Plan gives pods of a role something to do.
func Needs(p *plan.Plan, role contract.Role) bool {
	if p == nil {
		return false
	}
	mine := ForRole(p, role)
	switch role {
	case contract.Ingest:
		return len(mine.Push) > 0
	case contract.Relay, contract.Edge:
		return len(mine.Play) > 0
	case contract.Transcoder:
		return len(mine.Templates) > 0
	default:
		return false // recorders come later
	}
}

// entries are the parts of a Plan by their names, each with a sum of what it says.
type entries map[string]uint64

// PushEntry, PlayEntry and TemplateEntry are the names of the parts of a Plan.
func PushEntry(hostname string) string { return "push/" + hostname }

// PlayEntry names a play domain.
func PlayEntry(hostname string) string { return "play/" + hostname }

// TemplateEntry names a template; those of one id for several apps count as one.
func TemplateEntry(main, id string) string { return "template/" + main + "/" + id }

func entriesOf(p *plan.Plan) entries {
	out := make(entries, len(p.Push)+len(p.Play)+len(p.Templates))
	for i := range p.Push {
		out[PushEntry(p.Push[i].Hostname)] = sum(&p.Push[i])
	}
	for i := range p.Play {
		out[PlayEntry(p.Play[i].Hostname)] = sum(&p.Play[i])
	}
	for i := range p.Templates {
		out[TemplateEntry(p.Templates[i].Space, p.Templates[i].ID)] += sum(&p.Templates[i])
	}
	return out
}

func sum(part any) uint64 {
	text, err := json.Marshal(part)
	if err != nil {
		return 0 // parts of a Plan always encode
	}
	h := fnv.New64a()
	_, _ = h.Write(text)
	return h.Sum64()
}
