package directory

import (
	"fmt"

	"github.com/prometheus/client_golang/prometheus"
)

// metrics of a Finder. No label names a stream, a domain or a pod.
type metrics struct {
	pulls    prometheus.Counter
	switches prometheus.Counter
	ended    *prometheus.CounterVec
}

func newMetrics(reg prometheus.Registerer, f *Finder) (*metrics, error) {
	const ns, sub = "millrace", "directory"
	counter := func(name, help string) prometheus.Counter {
		return prometheus.NewCounter(prometheus.CounterOpts{Namespace: ns, Subsystem: sub, Name: name, Help: help})
	}
	m := &metrics{
		pulls:    counter("pulls_total", "Attempts to pull a stream from another pod."),
		switches: counter("switches_total", "Streams that went from one origin to a better one while they were pulled."),
		ended: prometheus.NewCounterVec(prometheus.CounterOpts{Namespace: ns, Subsystem: sub, Name: "pulls_ended_total",
			Help: "Pulls that ended, by reason."}, []string{"reason"}),
	}
	if reg == nil {
		return m, nil
	}
	all := []prometheus.Collector{m.pulls, m.switches, m.ended}
	gauge := func(name, help string, value func() int) {
		all = append(
			all,
			prometheus.NewGaugeFunc(
				prometheus.GaugeOpts{Namespace: ns, Subsystem: sub, Name: name, Help: help},
				func() float64 { return float64(value()) },
			),
		)
	}
	gauge("peers", "Pods that may have streams.", func() int { n, _, _ := f.opt.Mirror.Counts(); return n })
	gauge(
		"peers_heard",
		"Those of them whose announcements are heard.",
		func() int { _, n, _ := f.opt.Mirror.Counts(); return n },
	)
	gauge("streams", "Streams that they announce.", func() int { _, _, n := f.opt.Mirror.Counts(); return n })
	gauge("fetches", "Streams that are fetched now.", func() int {
		f.mu.Lock()
		defer f.mu.Unlock()
		return len(f.fetches)
	})
	for _, c := range all {
		if err := reg.Register(c); err != nil {
			return nil, fmt.Errorf("registering the metrics of the directory: %w", err)
		}
	}
	return m, nil
}
