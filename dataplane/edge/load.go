package edge

// Load is what an edge serves now.
type Load struct {
	Viewers    int
	EgressMbps float64
	Headroom   float64 // share of what it may take on that is left; 1: idle
	Domains    map[string]DomainLoad
	Streams    map[string]map[string]int // viewers by stream (hub.Key.String) and protocol
}

// DomainLoad is what a play domain costs.
type DomainLoad struct {
	Viewers    int
	EgressMbps float64
}

// Load sums up the viewers. It is for once a second, not for each viewer.
func (e *Edge) Load() Load {
	l := Load{Domains: map[string]DomainLoad{}, Streams: map[string]map[string]int{}}
	count := func(host, stream, kind string) {
		l.Viewers++
		d := l.Domains[host]
		d.Viewers++
		l.Domains[host] = d
		if l.Streams[stream] == nil {
			l.Streams[stream] = map[string]int{}
		}
		l.Streams[stream][kind]++
	}
	for _, v := range e.all() {
		count(v.right.Host, v.stream, v.kind)
	}
	e.hlsViewers.each(func(h hlsViewer) { count(h.host, h.stream, "hls") })
	e.domains.mu.Lock()
	for host, s := range e.domains.all {
		l.EgressMbps += s.mbps
		if d, ok := l.Domains[host]; ok {
			d.EgressMbps = s.mbps
			l.Domains[host] = d
		}
	}
	e.domains.mu.Unlock()
	used := float64(l.Viewers) / float64(e.opt.MaxViewers)
	if e.opt.MaxEgressMbps > 0 {
		used = max(used, l.EgressMbps/e.opt.MaxEgressMbps)
	}
	l.Headroom = min(max(1-used, 0), 1)
	return l
}
