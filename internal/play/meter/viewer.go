// Package meter measures what one viewer sees of a stream, from the RTP packets that reach it: loss and repair by
// sequence number, complete and decodable frames, stalls and latency. It does no I/O; the clients in the sibling
// packages feed it.
package meter

import (
	"sync"
	"time"

	"github.com/millrace/millrace/dataplane/media"
)

// Settle is the time after the first picture that does not count for frame rate, bit rate and latency: a server that
// starts a viewer at the last key frame sends the past in a burst.
const Settle = time.Second

// maxStreams bounds the SSRCs that one viewer keeps count of; packets of further ones are ignored.
const maxStreams = 8

// Packet is one RTP packet of a stream (RFC 3550, section 5.1). A packet that came as a retransmission on its own SSRC
// (RFC 4588) is given with the sequence number, SSRC and payload of the original.
type Packet struct {
	Codec   media.Codec
	SSRC    uint32
	Seq     uint16
	Time    uint32 // RTP timestamp
	Marker  bool
	Arrival int64  // Unix time of the arrival in ns
	Capture int64  // Unix time of the capture in ns by the abs-capture-time extension, 0 when the packet has none
	Size    int    // bytes of payload
	Payload []byte // nil when the payload was not decrypted
	Repair  bool   // came as a retransmission on its own SSRC
}

// Viewer measures one viewer. It may be used by several goroutines.
type Viewer struct {
	mu      sync.Mutex
	streams []*stream
	opaque  bool // no payload is ever decrypted, so key frames are not seen

	start       time.Time
	signalling  time.Duration
	connect     time.Duration
	firstPacket time.Duration
	firstFrame  time.Duration
	profile     string
	codecs      []media.Codec
	ended       string
	stopped     time.Time
	drops       uint64
	bad         uint64 // packets that could not be decrypted
	unknown     uint64 // packets of payload types that the answer does not name
	plis        uint64
}

// NewViewer starts measuring at start. With opaque no packet will bring its payload: key frames cannot be told, and the
// first complete frame counts as the first picture.
func NewViewer(start time.Time, opaque bool) *Viewer {
	return &Viewer{start: start, opaque: opaque}
}

// Restart moves the start, for a client that had to ask more than once before the stream was there.
func (v *Viewer) Restart(start time.Time) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.start = start
}

// Signalled notes that the answer came after the given time, and which codecs it names.
func (v *Viewer) Signalled(took time.Duration, codecs []media.Codec) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.signalling, v.codecs = took, codecs
}

// Connected notes that ICE and DTLS are up, the given time after the answer, with an SRTP protection profile.
func (v *Viewer) Connected(took time.Duration, profile string) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.connect, v.profile = took, profile
}

// SocketDrops notes how many datagrams the viewer's own socket has dropped so far because they were not read in time.
func (v *Viewer) SocketDrops(n uint64) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.drops = n
}

// Unusable notes how many packets could not be decrypted so far, and how many had a payload type that the answer does
// not name.
func (v *Viewer) Unusable(undecryptable, unknown uint64) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.bad, v.unknown = undecryptable, unknown
}

// Stop ends the measurement at now, with the reason why. Only the first call counts.
func (v *Viewer) Stop(now time.Time, reason string) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.stopped.IsZero() {
		v.stopped, v.ended = now, reason
	}
}

// Lock takes the viewer for a batch of calls of PacketLocked.
func (v *Viewer) Lock() { v.mu.Lock() }

// Unlock ends a batch.
func (v *Viewer) Unlock() { v.mu.Unlock() }

// Packet takes one packet in.
func (v *Viewer) Packet(p *Packet) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.PacketLocked(p)
}

// PacketLocked is Packet between Lock and Unlock.
func (v *Viewer) PacketLocked(p *Packet) {
	if !v.stopped.IsZero() {
		return
	}
	s := v.stream(p.SSRC)
	if s == nil {
		if len(v.streams) >= maxStreams {
			return
		}
		s = newStream(p.SSRC, p.Codec, v.opaque)
		v.streams = append(v.streams, s)
		if v.firstPacket == 0 {
			v.firstPacket = time.Unix(0, p.Arrival).Sub(v.start)
		}
	}
	had := s.frames
	s.add(p)
	if had == 0 && s.frames > 0 && v.firstFrame == 0 {
		v.firstFrame = time.Unix(0, p.Arrival).Sub(v.start)
	}
}

// WantsPayloadLocked reports whether the payload of the stream's next packets has to be seen, because the viewer waits
// for a key frame or a hole may cost it one. For use between Lock and Unlock.
func (v *Viewer) WantsPayloadLocked(ssrc uint32) bool {
	s := v.stream(ssrc)
	return s == nil || s.broken || s.cursor <= s.highest
}

// SenderReport takes in the clock mapping of a stream's RTCP sender report (RFC 3550, section 6.4.1).
func (v *Viewer) SenderReport(ssrc uint32, ntp uint64, rtpTime uint32) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if s := v.stream(ssrc); s != nil {
		s.srWall, s.srTime = NTPToUnix(ntp), rtpTime
		s.srNTP, s.srArrival = uint32(ntp>>16), time.Now()
	}
}

func (v *Viewer) stream(ssrc uint32) *stream {
	for _, s := range v.streams {
		if s.ssrc == ssrc {
			return s
		}
	}
	return nil
}

// NTPToUnix turns a 64-bit NTP time stamp (RFC 5905, section 6) into Unix time in ns.
func NTPToUnix(ntp uint64) int64 {
	const secondsTo1970 = 2208988800
	seconds := int64(ntp>>32) - secondsTo1970
	return seconds*int64(time.Second) + int64((ntp&0xffffffff)*uint64(time.Second)>>32)
}

// Up reports whether the connection is or was up, or the viewer has ended.
func (v *Viewer) Up() bool {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.connect > 0 || !v.stopped.IsZero()
}

// Packets is how many different packets have arrived.
func (v *Viewer) Packets() (n uint64) {
	v.mu.Lock()
	defer v.mu.Unlock()
	for _, s := range v.streams {
		n += s.unique
	}
	return n
}
