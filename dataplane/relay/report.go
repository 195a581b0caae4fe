package relay

import (
	"fmt"
	"math/bits"
	"time"

	"github.com/pion/srtp/v3"

	"github.com/millrace/millrace/dataplane/relay/fanout"
	"github.com/millrace/millrace/dataplane/relay/feedback"
	"github.com/millrace/millrace/dataplane/relay/secure"
)

// inbound decrypts what a player reports.
type inbound struct {
	context *srtp.Context
	buf     []byte
}

func newInbound(keys secure.Keys) (*inbound, error) {
	c, err := srtp.CreateContext(
		keys.RemoteKey,
		keys.RemoteSalt,
		srtp.ProtectionProfile(keys.Profile),
		srtp.SRTCPReplayProtection(64),
	)
	if err != nil {
		return nil, fmt.Errorf("setting up SRTCP: %w", err)
	}
	return &inbound{context: c}, nil
}

// handleRTCP reads a compound packet of the player.
func (s *session) handleRTCP(b []byte) {
	v := s.viewer.Load()
	if v == nil {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed || s.inbound == nil {
		return
	}
	plain, err := s.inbound.context.DecryptRTCP(s.inbound.buf[:0], b, nil)
	if err != nil {
		s.relay.metrics.rtcpRefused.Inc()
		return
	}
	s.inbound.buf = plain
	s.touch()
	s.dtls.Settled()
	now := time.Now()
	feedback.Walk(plain, func(f feedback.Item) {
		switch {
		case f.KeyFrame && s.asked.Take(1, now):
			s.relay.metrics.keyFrameRequests.Inc()
			v.KeyFrame()
		case f.NACK && s.asked.Take(1+bits.OnesCount16(f.BLP), now):
			s.relay.metrics.nacks.Inc()
			v.NACK(f.SSRC, f.PID, f.BLP)
		case f.NACK, f.KeyFrame:
			s.relay.metrics.feedbackDropped.Inc()
		case f.Report:
			s.reported(v, &f, now)
		case f.Transport != nil:
			s.arrived(v, f.Transport, now)
		case f.Bandwidth > 0:
			s.estimated(v, f.Bandwidth, now)
		}
	})
}

// reported takes in a receiver report of one of our streams.
func (s *session) reported(v *fanout.Viewer, f *feedback.Item, now time.Time) {
	lost := float64(f.Lost) / 256
	s.relay.metrics.loss.Observe(lost)
	do, cause := s.pressure.Loss(now, lost)
	s.follow(v, do, cause)
	if rtt, ok := feedback.RoundTrip(now, f.LastSR, f.Delay); ok {
		s.relay.metrics.rtt.Observe(rtt.Seconds())
		do, cause := s.pressure.RoundTrip(now, rtt)
		s.follow(v, do, cause)
	}
}

// estimated takes in the bandwidth in bit/s that the player estimates.
func (s *session) estimated(v *fanout.Viewer, bandwidth float64, now time.Time) {
	needs := 1e6 * mbps(s.feed.feed.Stream.Facts(), s.selection)
	if needs > 0 {
		s.relay.metrics.bandwidth.Observe(bandwidth / needs)
	}
	do, cause := s.pressure.Estimate(now, bandwidth, needs)
	s.follow(v, do, cause)
}

// arrived takes in a transport-wide feedback.
func (s *session) arrived(v *fanout.Viewer, body []byte, now time.Time) {
	feedback.WalkTransportCC(body, func(seq uint16, arrived bool, at uint32) {
		sent, known := v.SentAt(seq)
		s.arrivals.Take(arrived, at-sent, known)
	})
	queue, lost, ok := s.arrivals.End(now)
	if !ok {
		return
	}
	s.relay.metrics.queue.Observe(queue.Seconds())
	do, cause := s.pressure.Delay(now, queue)
	s.follow(v, do, cause)
	do, cause = s.pressure.Loss(now, lost)
	s.follow(v, do, cause)
}

// follow does what a report asks for.
func (s *session) follow(v *fanout.Viewer, do feedback.Step, cause fanout.Cause) {
	switch do {
	case feedback.StepThin:
		v.Thin(cause)
	case feedback.StepFull:
		v.Full()
	case feedback.StepSkip:
		v.Skip(cause)
	case feedback.StepNone:
		return
	}
	if do != feedback.StepFull {
		s.relay.metrics.less.WithLabelValues(cause.String()).Inc()
	}
}
