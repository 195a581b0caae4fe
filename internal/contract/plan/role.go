package plan

// ForIngest returns what ingest pods need of a Plan: who may publish. Like the next ones it shares its lists with the
// Plan.
func (p *Plan) ForIngest() *Plan { return &Plan{Class: p.Class, Push: p.Push} }

// ForRelay returns what relay pods need of a Plan: RTS domains and the templates that their viewers may ask for.
func (p *Plan) ForRelay() *Plan {
	return &Plan{Class: p.Class, Play: p.of(RTS), Templates: p.Templates}
}

// ForEdge returns what edge pods need of a Plan: Standard domains and the templates that their viewers may ask for.
func (p *Plan) ForEdge() *Plan {
	return &Plan{Class: p.Class, Play: p.of(Standard), Templates: p.Templates}
}

// ForTranscoder returns what transcoder pods need of a Plan: templates. Who may watch is for relays and edges to say.
func (p *Plan) ForTranscoder() *Plan { return &Plan{Class: p.Class, Templates: p.Templates} }

func (p *Plan) of(t PlayType) []PlayDomain {
	var out []PlayDomain
	for _, d := range p.Play {
		if d.Type == t {
			out = append(out, d)
		}
	}
	return out
}
