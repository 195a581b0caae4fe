package meter

import (
	"time"

	"github.com/pion/rtcp"

	"github.com/millrace/millrace/dataplane/media"
)

// When a missing packet is asked for: after a time in which it may just be late, then again while it may still help.
const (
	firstAsk = 8 * time.Millisecond
	askAgain = 50 * time.Millisecond
	maxAsks  = 10
	maxNACKs = 256 // packets asked for in one message
)

// Feedback returns the RTCP that a receiver owes the sender now: requests for missing packets (RFC 4585, section 6.2.1)
// and, when nothing but a key frame helps, for one (section 6.3.1). ssrc is the receiver's own.
func (v *Viewer) Feedback(now time.Time, ssrc uint32) []rtcp.Packet {
	v.mu.Lock()
	defer v.mu.Unlock()
	var out []rtcp.Packet
	for _, s := range v.streams {
		s.expire(now.UnixNano())
		if missing := s.missing(now.UnixNano()); len(missing) > 0 {
			out = append(out, &rtcp.TransportLayerNack{
				SenderSSRC: ssrc, MediaSSRC: s.ssrc, Nacks: rtcp.NackPairsFromSequenceNumbers(missing),
			})
		}
		if s.broken && s.complete > 0 && now.Sub(s.askedKey) > patience {
			s.askedKey = now
			v.plis++
			out = append(out, &rtcp.PictureLossIndication{SenderSSRC: ssrc, MediaSSRC: s.ssrc})
		}
	}
	return out
}

// expire returns up holes whose time is over, also when no packet comes any more.
func (s *stream) expire(now int64) {
	if s.codec.Kind() == media.Video {
		s.advance(now)
	} else {
		s.skipHoles(now)
	}
}

// missing lists the packets to ask for now.
func (s *stream) missing(now int64) []uint16 {
	var out []uint16
	for seq := s.cursor; seq <= s.highest && len(out) < maxNACKs; seq++ {
		kept := s.at(seq)
		if kept.seq != seq || kept.flags&flagPresent != 0 || kept.asked >= maxAsks || now < kept.time {
			continue
		}
		kept.asked++
		s.asks++
		kept.time = now + int64(askAgain)
		out = append(out, uint16(seq))
	}
	return out
}

// Report returns the receiver report (RFC 3550, section 6.4.2) over all streams.
func (v *Viewer) Report(now time.Time, ssrc uint32) *rtcp.ReceiverReport {
	v.mu.Lock()
	defer v.mu.Unlock()
	report := &rtcp.ReceiverReport{SSRC: ssrc}
	for _, s := range v.streams {
		expected, unique := s.expected(), s.unique
		block := rtcp.ReceptionReport{
			SSRC: s.ssrc, TotalLost: uint32(min(s.lost(), 1<<23-1)),
			LastSequenceNumber: uint32(s.highest - startCycle), Jitter: uint32(s.jitter),
		}
		if sent := expected - s.reportExpected; sent > 0 {
			if got := unique - s.reportUnique; got < sent {
				block.FractionLost = uint8(min((sent-got)*256/sent, 255))
			}
		}
		s.reportExpected, s.reportUnique = expected, unique
		if !s.srArrival.IsZero() {
			block.LastSenderReport = s.srNTP
			block.Delay = uint32(now.Sub(s.srArrival) * 65536 / time.Second)
		}
		report.Reports = append(report.Reports, block)
	}
	return report
}
