package transcode

import (
	"github.com/prometheus/client_golang/prometheus"
)

// metrics of a transcoder. No label names a stream, a domain or a template.
type metrics struct {
	starts   prometheus.Counter
	restarts prometheus.Counter
	refused  prometheus.Counter
	dropped  prometheus.Counter
	added    prometheus.Histogram
	seconds  prometheus.Counter
}

func newMetrics(reg prometheus.Registerer, t *Transcoder) *metrics {
	counter := func(name, help string) prometheus.Counter {
		return prometheus.NewCounter(
			prometheus.CounterOpts{Namespace: "millrace", Subsystem: "transcode", Name: name, Help: help},
		)
	}
	m := &metrics{
		starts:   counter("starts_total", "Processes of ffmpeg that were started."),
		restarts: counter("restarts_total", "Processes of ffmpeg that failed, each of which is started again."),
		refused:  counter("refused_total", "Sessions refused because the transcoder is full."),
		dropped:  counter("dropped_frames_total", "Frames of sound that ffmpeg did not take in time."),
		added: prometheus.NewHistogram(prometheus.HistogramOpts{
			Namespace: "millrace", Subsystem: "transcode", Name: "added_seconds",
			Help: "From a frame of the source to the frame of the rendition of the same moment, frames that are passed " +
				"through left out.", Buckets: prometheus.ExponentialBuckets(0.005, 2, 10),
		}),
		seconds: counter("ended_cpu_seconds_total", "CPU time of processes of ffmpeg that have ended."),
	}
	if reg == nil {
		return m
	}
	reg.MustRegister(m.starts, m.restarts, m.refused, m.dropped, m.added, m.seconds)
	gauge := func(name, help string, value func() float64) {
		reg.MustRegister(
			prometheus.NewGaugeFunc(
				prometheus.GaugeOpts{Namespace: "millrace", Subsystem: "transcode", Name: name, Help: help},
				value,
			),
		)
	}
	gauge("sessions", "Renditions that are made now.", func() float64 { return float64(t.Sessions()) })
	gauge("cores", "Cores that processes of ffmpeg use now, smoothed over some seconds.", t.headroom.cores)
	gauge("headroom", "1: idle; 0: new sessions are refused.", t.Headroom)
	return m
}

// cpu counts what an ended process has used.
func (m *metrics) cpu(p *process) { m.seconds.Add(p.cpu().Seconds()) }
