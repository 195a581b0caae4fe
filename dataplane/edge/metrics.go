package edge

import (
	"github.com/prometheus/client_golang/prometheus"

	"github.com/millrace/millrace/internal/contract/plan"
)

// metrics of an edge. No label names a stream, a domain or a viewer.
type metrics struct {
	joins   *prometheus.CounterVec // by protocol and result
	leaves  *prometheus.CounterVec // by protocol and reason
	skips   prometheus.Counter
	skipped prometheus.Counter
	panics  prometheus.Counter
	hls     *prometheus.CounterVec // by kind
}

func newMetrics(reg prometheus.Registerer, e *Edge) (*metrics, error) {
	const ns, sub = "millrace", "edge"
	vec := func(name, help string, labels ...string) *prometheus.CounterVec {
		return prometheus.NewCounterVec(prometheus.CounterOpts{Namespace: ns, Subsystem: sub, Name: name, Help: help}, labels)
	}
	counter := func(name, help string) prometheus.Counter {
		return prometheus.NewCounter(prometheus.CounterOpts{Namespace: ns, Subsystem: sub, Name: name, Help: help})
	}
	m := &metrics{
		joins:   vec("joins_total", "Requests to watch, by protocol and result.", "protocol", "result"),
		leaves:  vec("leaves_total", "Ended FLV and RTMP viewers, by protocol and reason.", "protocol", "reason"),
		skips:   counter("skips_total", "Times that a slow FLV or RTMP viewer was moved to the newest key frame."),
		skipped: counter("skipped_tags_total", "Tags that slow FLV and RTMP viewers missed."),
		panics:  counter("panics_total", "Panics that ended one viewer or request; each one is a defect."),
		hls:     vec("hls_requests_total", "Answered HLS requests, by kind.", "kind"),
	}
	if reg == nil {
		return m, nil
	}
	all := []prometheus.Collector{m.joins, m.leaves, m.skips, m.skipped, m.panics, m.hls}
	gauge := func(name, help string, value func() float64) {
		all = append(
			all,
			prometheus.NewGaugeFunc(prometheus.GaugeOpts{Namespace: ns, Subsystem: sub, Name: name, Help: help}, value),
		)
	}
	gauge(
		"viewers",
		"FLV and RTMP viewers, and HLS players that asked lately.",
		func() float64 { return float64(e.Viewers()) },
	)
	gauge("feeds", "Streams that are muxed for FLV and RTMP now.", func() float64 { return float64(e.feeds.count()) })
	gauge(
		"hls_muxers",
		"Streams that are cut into HLS segments now, each format for itself.",
		func() float64 { return float64(e.hls.Count()) },
	)
	gauge("hls_bytes", "Memory of HLS segments.", func() float64 { return float64(e.hls.Bytes()) })
	gauge(
		"backlog_max_milliseconds",
		"Media that the slowest FLV or RTMP viewer is behind the live edge.",
		func() float64 {
			most := int64(0)
			for _, v := range e.all() {
				most = max(most, v.backlog().Milliseconds())
			}
			return float64(most)
		},
	)
	all = append(
		all,
		prometheus.NewCounterFunc(prometheus.CounterOpts{Namespace: ns, Subsystem: sub, Name: "sent_bytes_total",
			Help: "Bytes of media sent."}, func() float64 { return float64(e.door.Total(plan.Standard)) }),
	)
	for _, c := range all {
		if err := reg.Register(c); err != nil {
			return nil, err
		}
	}
	return m, nil
}
