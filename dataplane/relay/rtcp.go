package relay

import (
	"encoding/binary"
	"fmt"
	"math"
	"math/bits"
	"time"

	"github.com/pion/srtp/v3"

	"github.com/millrace/millrace/dataplane/relay/fanout"
)

// inbound decrypts what a player reports.
type inbound struct {
	context *srtp.Context
	buf     []byte
}

func newInbound(keys srtpKeys) (*inbound, error) {
	c, err := srtp.CreateContext(
		keys.remoteKey,
		keys.remoteSalt,
		srtp.ProtectionProfile(keys.profile),
		srtp.SRTCPReplayProtection(64),
	)
	if err != nil {
		return nil, fmt.Errorf("setting up SRTCP: %w", err)
	}
	return &inbound{context: c}, nil
}

// RTCP packet types and formats (RFC 3550, 12.1; RFC 4585, 6; RFC 5104, 4.3.1).
const (
	rtcpReceiverReport = 201
	rtcpTransportFB    = 205
	rtcpPayloadFB      = 206
	fmtNACK            = 1
	fmtPLI             = 1
	fmtFIR             = 4
	fmtTransportCC     = 15 // draft-holmer-rmcat-transport-wide-cc-extensions-01, 3.1
	fmtREMB            = 15 // application layer feedback (draft-alvestrand-rmcat-remb-03, 2.2)
)

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
	s.dtls.settled()
	now := time.Now()
	walkRTCP(plain, func(f feedback) {
		switch {
		case f.keyFrame && s.asked.take(1, now):
			s.relay.metrics.keyFrameRequests.Inc()
			v.KeyFrame()
		case f.nack && s.asked.take(1+bits.OnesCount16(f.blp), now):
			s.relay.metrics.nacks.Inc()
			v.NACK(f.ssrc, f.pid, f.blp)
		case f.nack, f.keyFrame:
			s.relay.metrics.feedbackDropped.Inc()
		case f.report:
			s.reported(v, &f, now)
		case f.transport != nil:
			s.arrived(v, f.transport, now)
		case f.bandwidth > 0:
			s.estimated(v, f.bandwidth, now)
		}
	})
}

// reported takes in a receiver report of one of our streams.
func (s *session) reported(v *fanout.Viewer, f *feedback, now time.Time) {
	lost := float64(f.lost) / 256
	s.relay.metrics.loss.Observe(lost)
	do, cause := s.pressure.loss(now, lost)
	s.follow(v, do, cause)
	if rtt, ok := roundTrip(now, f.lastSR, f.delay); ok {
		s.relay.metrics.rtt.Observe(rtt.Seconds())
		do, cause := s.pressure.roundTrip(now, rtt)
		s.follow(v, do, cause)
	}
}

// estimated takes in the bandwidth in bit/s that the player estimates.
func (s *session) estimated(v *fanout.Viewer, bandwidth float64, now time.Time) {
	needs := 1e6 * mbps(s.feed.feed.Stream.Facts(), s.selection)
	if needs > 0 {
		s.relay.metrics.bandwidth.Observe(bandwidth / needs)
	}
	do, cause := s.pressure.estimate(now, bandwidth, needs)
	s.follow(v, do, cause)
}

// roundTrip computes the round-trip time of a report (RFC 3550, 6.4.1): the middle of the NTP time of the sender report
// that it answers, and how long that had lain at the player, both in 1/65536 s.
func roundTrip(now time.Time, lastSR, delay uint32) (time.Duration, bool) {
	if lastSR == 0 {
		return 0, false
	}
	const unixToNTP = 2208988800
	middle := uint32(now.Unix()+unixToNTP)<<16 | uint32(uint64(now.Nanosecond())<<16/1_000_000_000)
	units := middle - lastSR - delay
	if units > 60<<16 { // clocks that were set, or nonsense
		return 0, false
	}
	return time.Duration(units) * time.Second >> 16, true
}

// budget bounds what one player may ask of the workers, which serve others too.
type budget struct {
	left float64
	at   time.Time
}

const (
	asksPerSecond = 2000 // packets and key frames: several times what a player of 6 Mbit/s asks for at 30 % loss
	asksAtOnce    = 2000
)

func (b *budget) take(n int, now time.Time) bool {
	if b.at.IsZero() {
		b.left = asksAtOnce
	} else {
		b.left = min(asksAtOnce, b.left+asksPerSecond*now.Sub(b.at).Seconds())
	}
	b.at = now
	if b.left < float64(n) {
		return false
	}
	b.left -= float64(n)
	return true
}

// feedback is one thing that a player reports.
type feedback struct {
	nack, keyFrame, report bool
	ssrc                   uint32
	pid, blp               uint16
	lost                   uint8   // fraction of packets lost since the last report, in 256ths
	lastSR, delay          uint32  // of a report: the sender report that it answers, and since when the player has that
	bandwidth              float64 // REMB: what the player estimates, in bit/s
	transport              []byte  // a transport-wide feedback, for walkTransportCC
}

// walkRTCP calls f for each report and request in a compound packet (RFC 3550, 6.1). What is malformed ends the walk.
func walkRTCP(b []byte, f func(feedback)) {
	for len(b) >= 4 && b[0]>>6 == 2 {
		size := 4 * (1 + int(binary.BigEndian.Uint16(b[2:])))
		if size > len(b) {
			return
		}
		walkPacket(b[:size], f)
		b = b[size:]
	}
}

func walkPacket(b []byte, f func(feedback)) {
	count, body := b[0]&0x1f, b[4:]
	switch b[1] {
	case rtcpReceiverReport: // sender SSRC, then report blocks of 24 bytes
		for i, at := 0, 4; i < int(count) && at+24 <= len(body); i, at = i+1, at+24 {
			f(feedback{
				report: true, ssrc: binary.BigEndian.Uint32(body[at:]), lost: body[at+4],
				lastSR: binary.BigEndian.Uint32(body[at+16:]), delay: binary.BigEndian.Uint32(body[at+20:]),
			})
		}
	case rtcpTransportFB:
		if count == fmtTransportCC {
			f(feedback{transport: body})
		}
		if count != fmtNACK || len(body) < 8 {
			return
		}
		ssrc := binary.BigEndian.Uint32(body[4:])
		for at := 8; at+4 <= len(body); at += 4 {
			f(
				feedback{
					nack: true,
					ssrc: ssrc,
					pid:  binary.BigEndian.Uint16(body[at:]),
					blp:  binary.BigEndian.Uint16(body[at+2:]),
				},
			)
		}
	case rtcpPayloadFB:
		if (count == fmtPLI || count == fmtFIR) && len(body) >= 8 {
			f(feedback{keyFrame: true, ssrc: binary.BigEndian.Uint32(body[4:])})
		}
		if count == fmtREMB && len(body) >= 16 && string(body[8:12]) == "REMB" {
			exponent, mantissa := body[13]>>2, uint32(body[13]&3)<<16|uint32(binary.BigEndian.Uint16(body[14:]))
			f(feedback{bandwidth: math.Ldexp(float64(mantissa), int(exponent))})
		}
	}
}
