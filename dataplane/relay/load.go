package relay

import "github.com/millrace/millrace/dataplane/hub"

// Load is what a relay serves now.
type Load struct {
	Sessions   int
	EgressMbps float64
	Headroom   float64 // share of what it may take on that is left; 1: idle
	Domains    map[string]DomainLoad
	Streams    map[hub.Key]map[string]int // viewers by dialect
}

// DomainLoad is what a play domain costs.
type DomainLoad struct {
	Viewers    int
	EgressMbps float64
}

// Load sums up the sessions. It is for once a second, not for each viewer.
func (r *Relay) Load() Load {
	l := Load{Domains: map[string]DomainLoad{}, Streams: map[hub.Key]map[string]int{}}
	for _, s := range r.sessions.all() {
		l.Sessions++
		d := l.Domains[s.right.Host]
		d.Viewers++
		l.Domains[s.right.Host] = d
		kinds := l.Streams[s.key]
		if kinds == nil {
			kinds = map[string]int{}
			l.Streams[s.key] = kinds
		}
		kinds[s.dialect]++
	}
	used := float64(l.Sessions) / float64(r.opt.MaxSessions)
	h := r.headroom
	h.mu.Lock()
	for host, mbps := range h.egress {
		if d, ok := l.Domains[host]; ok {
			d.EgressMbps = mbps
			l.Domains[host] = d
		}
		l.EgressMbps += mbps
	}
	if h.maxCPU > 0 {
		used = max(used, h.busy/h.maxCPU)
	}
	if h.maxEgress > 0 {
		used = max(used, l.EgressMbps/h.maxEgress)
	}
	h.mu.Unlock()
	l.Headroom = min(max(1-used, 0), 1)
	return l
}
