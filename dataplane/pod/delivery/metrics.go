package delivery

import (
	"fmt"
	"sync/atomic"

	"github.com/prometheus/client_golang/prometheus"
)

type metrics struct {
	applied *prometheus.CounterVec
	refused *prometheus.CounterVec
	apiSeen atomic.Bool // a Plan came from the API server
}

func newMetrics(reg prometheus.Registerer, r *Receiver) (*metrics, error) {
	vector := func(name, help, label string) *prometheus.CounterVec {
		return prometheus.NewCounterVec(
			prometheus.CounterOpts{Namespace: "millrace", Subsystem: "plan", Name: name, Help: help},
			[]string{label},
		)
	}
	m := &metrics{
		applied: vector("applied_total", "Plans that were applied, by source.", "source"),
		refused: vector("refused_total", "Plans that were refused, by reason; the last good one was kept.", "reason"),
	}
	if reg == nil {
		return m, nil
	}
	loaded := prometheus.NewGaugeFunc(
		prometheus.GaugeOpts{
			Namespace: "millrace",
			Subsystem: "plan",
			Name:      "loaded",
			Help:      "1 when the process runs on a plan.",
		},
		func() float64 {
			if r.Hash() == "" {
				return 0
			}
			return 1
		},
	)
	for _, c := range []prometheus.Collector{m.applied, m.refused, loaded} {
		if err := reg.Register(c); err != nil {
			return nil, fmt.Errorf("registering the metrics of the plan: %w", err)
		}
	}
	return m, nil
}
