package relay

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/millrace/millrace/dataplane/relay/fanout"
)

// metrics of a relay. No label names a stream, a domain or a viewer.
type metrics struct {
	joins            *prometheus.CounterVec // by dialect and result
	joinTime         prometheus.Histogram   // seconds
	leaves           *prometheus.CounterVec // by reason
	loss             prometheus.Histogram   // fraction, of receiver reports
	nacks            prometheus.Counter
	keyFrameRequests prometheus.Counter
	feedbackDropped  prometheus.Counter
	handshakeFailed  prometheus.Counter
	stunUnknown      prometheus.Counter
	stunRefused      prometheus.Counter
	rtcpRefused      prometheus.Counter
	panics           prometheus.Counter
	rtt              prometheus.Histogram   // seconds, of receiver reports
	bandwidth        prometheus.Histogram   // estimate of a player over what its stream needs
	queue            prometheus.Histogram   // seconds, of transport-wide feedback
	less             *prometheus.CounterVec // by cause
	moves            prometheus.Counter
	farewells        prometheus.Counter
}

func newMetrics(reg prometheus.Registerer, r *Relay) *metrics {
	counter := func(name, help string) prometheus.Counter {
		return prometheus.NewCounter(
			prometheus.CounterOpts{Namespace: "millrace", Subsystem: "relay", Name: name, Help: help},
		)
	}
	vec := func(name, help string, labels ...string) *prometheus.CounterVec {
		return prometheus.NewCounterVec(
			prometheus.CounterOpts{Namespace: "millrace", Subsystem: "relay", Name: name, Help: help},
			labels,
		)
	}
	histogram := func(name, help string, buckets []float64) prometheus.Histogram {
		return prometheus.NewHistogram(
			prometheus.HistogramOpts{Namespace: "millrace", Subsystem: "relay", Name: name, Help: help, Buckets: buckets},
		)
	}
	m := &metrics{
		joins: vec("joins_total", "Requests to watch, by dialect and result.", "dialect", "result"),
		joinTime: histogram(
			"join_seconds",
			"From the offer to the first media packet.",
			prometheus.ExponentialBuckets(0.01, 2, 11),
		),
		leaves: vec("leaves_total", "Ended sessions, by reason.", "reason"),
		loss: histogram(
			"loss_ratio",
			"Fraction of packets lost, of the receiver reports of viewers.",
			[]float64{0, 0.001, 0.01, 0.05, 0.1, 0.2, 0.3, 0.5, 1},
		),
		rtt: histogram(
			"rtt_seconds",
			"Round-trip times, of the receiver reports of viewers.",
			prometheus.ExponentialBuckets(0.001, 2, 13),
		),
		bandwidth: histogram(
			"bandwidth_ratio",
			"What players estimate to have of bandwidth (REMB), as a multiple of what their streams need.",
			[]float64{0.25, 0.5, 0.75, 1, 1.5, 2, 4},
		),
		queue: histogram(
			"queue_seconds",
			"How long packets wait on the way, beyond the shortest way, of the transport-wide feedback of viewers.",
			prometheus.ExponentialBuckets(0.001, 2, 13),
		),
		less:             vec("less_total", "Decisions to send a viewer less, by cause.", "cause"),
		nacks:            counter("nacks_total", "Entries of generic NACKs."),
		keyFrameRequests: counter("key_frame_requests_total", "PLI and FIR of viewers, answered from the cache."),
		feedbackDropped: counter(
			"feedback_dropped_total",
			"NACK entries and key frame requests beyond what one viewer may ask for.",
		),
		handshakeFailed: counter("handshake_failures_total", "DTLS handshakes that failed."),
		stunUnknown:     counter("stun_unknown_total", "Connectivity checks, and answers to ours, for no session."),
		stunRefused: counter(
			"stun_refused_total",
			"Connectivity checks, and answers to ours, with a wrong password or from a wrong address.",
		),
		rtcpRefused: counter("rtcp_refused_total", "RTCP packets that did not decrypt."),
		moves:       counter("moves_total", "Sessions whose media moved to another address of the player."),
		farewells: counter(
			"farewells_total",
			"Players of a process before this one, which was killed, that were told to go elsewhere.",
		),
		panics: counter("panics_total", "Panics that ended one session."),
	}
	if reg == nil {
		return m
	}
	reg.MustRegister(
		m.joins,
		m.joinTime,
		m.leaves,
		m.loss,
		m.nacks,
		m.keyFrameRequests,
		m.feedbackDropped,
		m.handshakeFailed,
		m.stunUnknown,
		m.stunRefused,
		m.rtcpRefused,
		m.panics,
		m.moves,
		m.farewells,
		m.rtt,
		m.bandwidth,
		m.queue,
		m.less,
	)
	gauge := func(name, help string, value func() float64) {
		reg.MustRegister(
			prometheus.NewGaugeFunc(
				prometheus.GaugeOpts{Namespace: "millrace", Subsystem: "relay", Name: name, Help: help},
				value,
			),
		)
	}
	total := func(name, help string, value func() uint64) {
		reg.MustRegister(
			prometheus.NewCounterFunc(
				prometheus.CounterOpts{Namespace: "millrace", Subsystem: "relay", Name: name, Help: help},
				func() float64 { return float64(value()) },
			),
		)
	}
	gauge("sessions", "Sessions, connected or connecting.", func() float64 { return float64(r.sessions.count()) })
	gauge("feeds", "Streams that are packetised now.", func() float64 { return float64(r.feeds.count()) })
	total("sent_packets_total", "SRTP packets sent over UDP.", func() uint64 { return r.engine.Counts().Packets })
	total("sent_bytes_total", "Bytes of SRTP packets sent over UDP.", func() uint64 { return r.engine.Counts().Bytes })
	total("send_calls_total", "System calls that sent them.", func() uint64 { return r.engine.Counts().Calls })
	total("send_failures_total", "Packets that the kernel refused.", func() uint64 { return r.engine.Counts().Failed })
	total(
		"send_fallbacks_total",
		"Sockets that stepped down to a plainer way of sending.",
		func() uint64 { return r.engine.Counts().Fallbacks },
	)
	gauge(
		"handshakes",
		"DTLS handshakes that compute now, of those that may at once.",
		func() float64 { return float64(r.handshakes.Taken()) },
	)
	gauge(
		"handshakes_waiting",
		"DTLS handshakes that wait for their turn to compute.",
		func() float64 { return float64(r.handshakes.Waiting()) },
	)
	for _, cause := range fanout.Causes() {
		reg.MustRegister(prometheus.NewCounterFunc(prometheus.CounterOpts{
			Namespace: "millrace", Subsystem: "relay", Name: "left_out_frames_total", Help: "Frames that viewers did not " +
				"get, by cause.",
			ConstLabels: prometheus.Labels{"cause": cause.String()},
		}, func() float64 { return float64(r.engine.Counts().LeftOut[cause]) }))
	}
	return m
}

func (m *metrics) joined(dialect string, took time.Duration) {
	m.joins.WithLabelValues(dialect, "connected").Inc()
	m.joinTime.Observe(took.Seconds())
}

func (m *metrics) left(reason string) { m.leaves.WithLabelValues(reason).Inc() }
