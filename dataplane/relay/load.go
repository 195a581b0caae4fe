package relay

import (
	"github.com/millrace/millrace/dataplane/door"
	"github.com/millrace/millrace/dataplane/hub"
	"github.com/millrace/millrace/internal/contract/plan"
)

// Load is what a relay serves now.
type Load struct {
	door.Load
	Streams map[hub.Key]map[string]int // viewers by dialect
}

// Load sums up the sessions. It is for once a second, not for each viewer.
func (r *Relay) Load() Load {
	l := Load{Load: r.door.Load(plan.RTS), Streams: map[hub.Key]map[string]int{}}
	for _, s := range r.sessions.all() {
		kinds := l.Streams[s.key]
		if kinds == nil {
			kinds = map[string]int{}
			l.Streams[s.key] = kinds
		}
		kinds[s.dialect]++
	}
	return l
}
