package ingest

import (
	"github.com/prometheus/client_golang/prometheus"

	"github.com/millrace/millrace/dataplane/media"
)

// metrics are the counters of an ingest. No label names a stream, a domain or an address.
type metrics struct {
	connections prometheus.Gauge
	publishers  prometheus.Gauge
	accepted    prometheus.Counter
	refused     *prometheus.CounterVec
	ended       *prometheus.CounterVec
	bytes       prometheus.Counter
	frames      [3]prometheus.Counter // by media.Kind
	damaged     prometheus.Counter
	repairs     prometheus.Counter
	panics      prometheus.Counter
}

// newMetrics makes the metrics and registers them; a nil registerer leaves them unregistered.
func newMetrics(reg prometheus.Registerer) (*metrics, error) {
	const ns, sub = "millrace", "ingest"
	counter := func(name, help string) prometheus.Counter {
		return prometheus.NewCounter(prometheus.CounterOpts{Namespace: ns, Subsystem: sub, Name: name, Help: help})
	}
	gauge := func(name, help string) prometheus.Gauge {
		return prometheus.NewGauge(prometheus.GaugeOpts{Namespace: ns, Subsystem: sub, Name: name, Help: help})
	}
	vector := func(name, help string) *prometheus.CounterVec {
		return prometheus.NewCounterVec(
			prometheus.CounterOpts{Namespace: ns, Subsystem: sub, Name: name, Help: help},
			[]string{"reason"},
		)
	}
	frames := prometheus.NewCounterVec(prometheus.CounterOpts{Namespace: ns, Subsystem: sub, Name: "frames_total",
		Help: "Frames taken in, by kind of media."}, []string{"kind"})
	m := &metrics{
		connections: gauge("connections", "Open RTMP and RTMPS connections."),
		publishers:  gauge("publishers", "Connections that publish."),
		accepted:    counter("publishes_total", "Publishes that were accepted."),
		refused:     vector("refused_total", "Connections that were closed before they published, by reason."),
		ended:       vector("ended_total", "Publishes that ended, by reason."),
		bytes:       counter("media_bytes_total", "Bytes of audio and video messages taken in."),
		damaged:     counter("damaged_access_units_total", "Access units that were dropped because they could not be read."),
		repairs: counter(
			"timestamp_repairs_total",
			"Time stamps of sources that went backward or jumped and were repaired.",
		),
		panics: counter("session_panics_total", "Sessions that ended in a panic; each one is a defect."),
	}
	for _, k := range []media.Kind{media.Video, media.Audio} {
		m.frames[k] = frames.WithLabelValues(k.String())
	}
	if reg == nil {
		return m, nil
	}
	for _, c := range []prometheus.Collector{m.connections, m.publishers, m.accepted, m.refused, m.ended, m.bytes, frames,
		m.damaged, m.repairs, m.panics} {
		if err := reg.Register(c); err != nil {
			return nil, err
		}
	}
	return m, nil
}
