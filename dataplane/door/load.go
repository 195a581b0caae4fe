package door

import "github.com/millrace/millrace/internal/contract/plan"

// Load is what a process serves now, for announcements.
type Load struct {
	Viewers    int
	EgressMbps float64
	Headroom   float64 // share of what it may take on that is left; 1: idle
	Domains    map[string]DomainLoad
}

// DomainLoad is what a play domain costs.
type DomainLoad struct {
	Viewers    int
	EgressMbps float64
}

// Load sums up the viewers of the domains of a type; Headroom is that of the process. It is for once a second, not for
// each viewer.
func (d *Door) Load(kind plan.PlayType) Load {
	d.mu.Lock()
	defer d.mu.Unlock()
	l := Load{Domains: map[string]DomainLoad{}}
	d.domains.Range(func(key, value any) bool {
		k, a := key.(domainKey), value.(*account) //nolint:forcetypeassert // nothing else is stored
		if k.kind != kind {
			return true
		}
		l.Viewers += a.viewers
		l.EgressMbps += a.mbps
		if a.viewers > 0 {
			l.Domains[k.host] = DomainLoad{Viewers: a.viewers, EgressMbps: a.mbps}
		}
		return true
	})
	used := float64(d.process.viewers) / float64(d.opt.MaxViewers)
	if d.opt.MaxCPU > 0 {
		used = max(used, d.busy/d.opt.MaxCPU)
	}
	if d.opt.MaxEgressMbps > 0 {
		used = max(used, d.process.mbps/d.opt.MaxEgressMbps)
	}
	l.Headroom = min(max(1-used, 0), 1)
	return l
}

// Viewers counts the viewers of the domains of a type.
func (d *Door) Viewers(kind plan.PlayType) (n int) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.domains.Range(func(key, value any) bool {
		if key.(domainKey).kind == kind { //nolint:forcetypeassert // nothing else is stored
			n += value.(*account).viewers //nolint:forcetypeassert // nothing else is stored
		}
		return true
	})
	return n
}
