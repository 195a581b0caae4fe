package pull

import "github.com/prometheus/client_golang/prometheus"

// metrics are the counters of a Server. No label names a stream, a domain or an address.
type metrics struct {
	readers  prometheus.Gauge
	sessions prometheus.Counter
	refused  *prometheus.CounterVec
	ended    *prometheus.CounterVec
	packets  prometheus.Counter
	bytes    prometheus.Counter
	skipped  prometheus.Counter
}

// newMetrics makes the metrics and registers them; a nil registerer leaves them unregistered.
func newMetrics(reg prometheus.Registerer) (*metrics, error) {
	const ns, sub = "millrace", "pull"
	counter := func(name, help string) prometheus.Counter {
		return prometheus.NewCounter(prometheus.CounterOpts{Namespace: ns, Subsystem: sub, Name: name, Help: help})
	}
	vector := func(name, help string) *prometheus.CounterVec {
		return prometheus.NewCounterVec(
			prometheus.CounterOpts{Namespace: ns, Subsystem: sub, Name: name, Help: help},
			[]string{"reason"},
		)
	}
	m := &metrics{
		readers: prometheus.NewGauge(
			prometheus.GaugeOpts{Namespace: ns, Subsystem: sub, Name: "readers", Help: "RTSP sessions that play."},
		),
		sessions: counter("sessions_total", "RTSP sessions that began to play."),
		refused:  vector("refused_total", "RTSP requests and connections that were refused, by reason."),
		ended:    vector("ended_total", "RTSP sessions that ended, by reason."),
		packets:  counter("sent_packets_total", "RTP packets queued for readers."),
		bytes:    counter("sent_bytes_total", "Bytes of their payloads."),
		skipped:  counter("skipped_frames_total", "Frames that readers missed because they were too slow."),
	}
	if reg == nil {
		return m, nil
	}
	for _, c := range []prometheus.Collector{m.readers, m.sessions, m.refused, m.ended, m.packets, m.bytes, m.skipped} {
		if err := reg.Register(c); err != nil {
			return nil, err
		}
	}
	return m, nil
}
