package observe

import (
	"math"

	"github.com/millrace/millrace/controllers/fleet"
)

var _ fleet.Observer = (*Observer)(nil)

// Pod returns what a pod says; false when it cannot be heard.
func (o *Observer) Pod(name string) (fleet.Observed, bool) {
	p, ok := o.Snapshot().Pods[name]
	return fleet.Observed{PlanHash: p.PlanHash, Draining: p.Draining, Sessions: p.Sessions}, ok
}

// Push returns the counts of a push domain.
func (o *Observer) Push(hostname string) fleet.Counts {
	return fleet.Counts{Streams: o.Snapshot().Push[hostname]}
}

// Play returns the counts of a play domain.
func (o *Observer) Play(hostname string) fleet.Counts {
	d := o.Snapshot().Play[hostname]
	return fleet.Counts{Viewers: d.Viewers, EgressKbps: int(math.Round(d.EgressKbps))}
}

// Template returns the counts of a template by the hostname of its main and its id.
func (o *Observer) Template(main, id string) fleet.Counts {
	return fleet.Counts{Sessions: o.Snapshot().Templates[Template{main, id}]}
}
