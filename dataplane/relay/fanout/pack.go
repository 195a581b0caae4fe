// Package fanout carries streams to WebRTC viewers: a frame is packetised once per stream (Feed, Pack), and each
// viewer's share of the work is a header, a seal and a place in a batch (Viewer, Worker, Batch).
package fanout

import (
	"time"

	"github.com/millrace/millrace/dataplane/media"
)

// MaxPayload is the largest RTP payload in bytes. With header, extensions, SRTP tag, UDP and IPv6 headers a packet
// stays below the 1,280 bytes that every IPv6 path carries (RFC 8200, 5).
const MaxPayload = 1160

// Pack is one frame as RTP payloads, made once per stream and shared by all viewers. It is immutable.
type Pack struct {
	Seq        uint64 // position in the feed
	Kind       media.Kind
	Codec      media.Codec
	Key        bool
	Disposable bool
	First      uint64 // number of the first packet, counted over the feed's packets of this kind
	Ordinal    uint64 // number of the frame, counted over the feed's frames of this kind
	TS         uint32 // RTP timestamp: 90 kHz for video, 48 kHz for Opus
	Ingest     time.Time
	NTP        uint64 // Ingest as an NTP timestamp (RFC 5905, 6)

	data []byte
	ends []uint32 // where each payload ends in data
}

// Packets is the number of RTP packets of the frame.
func (p *Pack) Packets() int { return len(p.ends) }

// Payload returns the i-th RTP payload.
func (p *Pack) Payload(i int) []byte {
	start := uint32(0)
	if i > 0 {
		start = p.ends[i-1]
	}
	return p.data[start:p.ends[i]]
}

// Size is the number of payload bytes.
func (p *Pack) Size() int { return len(p.data) }

func (p *Pack) finish() { p.ends = append(p.ends, uint32(len(p.data))) }

// ntpTime converts to the 64-bit NTP format (RFC 5905, 6): seconds since 1900 and a fraction.
func ntpTime(t time.Time) uint64 {
	const unixToNTP = 2208988800
	sec := uint64(t.Unix() + unixToNTP)
	return sec<<32 | (uint64(t.Nanosecond())<<32)/1_000_000_000
}
