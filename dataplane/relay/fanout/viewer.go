package fanout

import (
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"sync/atomic"
	"time"

	"github.com/pion/srtp/v3"

	"github.com/millrace/millrace/dataplane/media"
)

// LaneConfig is what a viewer negotiated for one kind of media.
type LaneConfig struct {
	Codec       media.Codec // zero: the viewer does not get this kind
	PayloadType uint8
	SSRC        uint32
	RTXType     uint8 // payload type of RTX (RFC 4588); 0: packets are repeated as they were
	RTXSSRC     uint32
	// Ids of RTP header extensions (RFC 8285), 0 when not negotiated.
	CaptureTimeID  uint8 // abs-capture-time
	PlayoutDelayID uint8 // playout-delay
	// of playout-delay: what the receiver may hold pictures back for, in units of 10 ms; at most 4095
	MaxPlayoutDelay uint16
	// transport-wide congestion control; its number is the packet's sequence number, packets of RTX have none
	TransportCCID uint8
}

// ViewerConfig makes a viewer.
type ViewerConfig struct {
	Video, Audio LaneConfig
	Profile      Profile
	Key, Salt    []byte // SRTP master key and salt of our side
	CNAME        string // of the sender reports

	// Exactly one way out.
	Socket *Socket
	Dest   *Dest
	TCP    *TCPPath

	// OnEnd is called once, from the worker, when the viewer got all of a stream that ended (nil), or cannot go on (an
	// error). It must not block.
	OnEnd func(error)
}

// Viewer is one receiver of a feed. After it was added to an engine it belongs to one worker.
type Viewer struct {
	cfg    ViewerConfig
	feed   *Feed
	worker *Worker
	lanes  [3]*lane // by media.Kind
	sealer sealer
	rtcp   *srtp.Context
	sdes   []byte

	cursor    uint64 // Seq of the next pack to send
	waitKey   bool   // nothing of video is sent before the next key pack
	waitsFor  Cause  // why
	thin      bool   // frames that nobody refers to are left out
	thinFor   Cause  // why
	audioFrom uint64 // audio packs below were sent or are too old
	burst     burst
	compress  compression
	joined    bool
	lastJoin  time.Time
	nextSR    time.Time
	repair    bucket
	ended     bool

	Counts ViewerCounts
}

// ViewerCounts may be read at any time.
type ViewerCounts struct {
	Packets, Bytes   atomic.Uint64 // sent, with repeats
	Repeats          atomic.Uint64 // packets sent again for NACKs
	SkippedFrames    atomic.Uint64 // frames the viewer did not get; the engine counts their causes
	KeyFrameRequests atomic.Uint64
	FirstSent        atomic.Int64 // Unix nanoseconds of the first packet of video (or audio, without video)
}

// lane is a viewer's view of one kind of media: its own run of sequence numbers over the feed's packets.
type lane struct {
	cfg     LaneConfig
	next    uint64 // extended sequence number of the next packet; the upper bits are the ROC (RFC 3711, 3.3.1)
	start   uint64 // of the first packet ever
	started bool
	joinAt  uint64 // of the first packet since the last join
	lastTS  uint32 // RTP timestamp of the last frame

	// where the run of sequence numbers stands against the feed's; newest last: a frame left out makes one
	shifts [32]shift
	used   int

	sent sentTimes // with TransportCCID

	rtxNext        uint64
	packets, bytes uint32 // for sender reports (RFC 3550, 6.4.1)
}

// shift says: from sequence number from on, a packet's sequence number is its number in the feed plus by.
type shift struct {
	from uint64
	by   uint64 // modulo 2^64
}

// burst paces what a viewer gets at once when it joins.
type burst struct {
	active bool
	since  time.Time
	rate   float64 // bytes per second
	sent   float64 // bytes
}

// compression squeezes the cached frames of a join: the frame last gets ts, each one before it step less.
type compression struct {
	first, last uint64 // Ordinals
	ts          uint32 // of the frame last
	step        uint32 // RTP clock units; 0: nothing is squeezed
}

// compressStep is the distance of squeezed frames: 1 ms of the 90 kHz clock.
const compressStep = 90

func (c *compression) apply(p *Pack) uint32 {
	if p.Kind == media.Video && c.step > 0 && p.Ordinal >= c.first && p.Ordinal <= c.last {
		return c.ts - uint32(c.last-p.Ordinal)*c.step
	}
	return p.TS
}

// NewViewer prepares a viewer; Engine.Add starts it.
func NewViewer(cfg ViewerConfig) (*Viewer, error) {
	s, err := newSealer(cfg.Profile, cfg.Key, cfg.Salt)
	if err != nil {
		return nil, err
	}
	rtcpContext, err := srtp.CreateContext(cfg.Key, cfg.Salt, srtp.ProtectionProfile(cfg.Profile))
	if err != nil {
		return nil, fmt.Errorf("setting up SRTCP: %w", err)
	}
	v := &Viewer{cfg: cfg, sealer: s, rtcp: rtcpContext, sdes: sdesChunkItems(cfg.CNAME), repair: newRepairBucket()}
	for kind, lc := range map[media.Kind]LaneConfig{media.Video: cfg.Video, media.Audio: cfg.Audio} {
		if lc.Codec != 0 {
			first := rand.Uint64N(1 << 15) // lower half: no roll-over before the receiver knows the ROC (RFC 3711, 3.3.1)
			l := &lane{cfg: lc, next: first, start: first, rtxNext: rand.Uint64N(1 << 15)}
			if lc.TransportCCID > 0 {
				l.sent = newSentTimes()
			}
			v.lanes[kind] = l
		}
	}
	return v, nil
}

func (v *Viewer) lane(kind media.Kind) *lane { return v.lanes[kind] }

// place returns the sequence number of a pack's first packet and moves the lane behind the pack.
func (l *lane) place(p *Pack) uint64 {
	if by := l.next - p.First; l.used == 0 || l.shifts[l.used-1].by != by {
		if l.used == len(l.shifts) {
			copy(l.shifts[:], l.shifts[1:])
			l.used--
		}
		l.shifts[l.used] = shift{from: l.next, by: by}
		l.used++
	}
	first := l.next
	l.next += uint64(p.Packets())
	l.started = true
	return first
}

// number finds the feed's packet number for a sequence number that a viewer named, or false when it was never sent, is
// from before the last join, or is too long ago.
func (l *lane) number(seq uint16) (ext, number uint64, ok bool) {
	back := uint64(uint16(l.next) - seq)
	if back == 0 {
		back = 1 << 16
	}
	if back > l.next {
		return 0, 0, false
	}
	ext = l.next - back
	if ext < l.joinAt || ext < l.start {
		return 0, 0, false
	}
	for i := l.used - 1; i >= 0; i-- {
		if ext >= l.shifts[i].from {
			return ext, ext - l.shifts[i].by, true
		}
	}
	return 0, 0, false
}

// playoutDelayPackets is for how many packets playout-delay is sent: the receiver keeps what it heard.
const playoutDelayPackets = 600

// header writes the RTP header of a packet and gives its length. It is the same each time it is asked for the same
// packet, so that a repeat does not use a nonce for other bytes.
func (l *lane) header(b []byte, pt uint8, ssrc uint32, seq uint16, ext uint64, ts uint32, ntp uint64, marker bool) int {
	b[0], b[1] = 0x80, pt
	if marker {
		b[1] |= 0x80
	}
	binary.BigEndian.PutUint16(b[2:], seq)
	binary.BigEndian.PutUint32(b[4:], ts)
	binary.BigEndian.PutUint32(b[8:], ssrc)
	n := 12
	if l.cfg.CaptureTimeID > 0 { // one-byte header form (RFC 8285, 4.2)
		n = 16
		b[n] = l.cfg.CaptureTimeID<<4 | 7
		binary.BigEndian.PutUint64(b[n+1:], ntp)
		n += 9
	}
	if l.cfg.PlayoutDelayID > 0 && ext-l.start < playoutDelayPackets {
		n = max(n, 16)
		b[n], b[n+1] = l.cfg.PlayoutDelayID<<4|2, 0 // 12 bits of the least delay, which is 0, and 12 of the longest
		binary.BigEndian.PutUint16(b[n+2:], l.cfg.MaxPlayoutDelay)
		n += 4
	}
	if l.cfg.TransportCCID > 0 && ssrc == l.cfg.SSRC {
		n = max(n, 16)
		b[n] = l.cfg.TransportCCID<<4 | 1
		binary.BigEndian.PutUint16(b[n+1:], seq)
		n += 3
	}
	if n > 12 {
		for n%4 != 0 {
			b[n] = 0
			n++
		}
		b[0] |= 0x10
		binary.BigEndian.PutUint16(b[12:], 0xbede)
		binary.BigEndian.PutUint16(b[14:], uint16(n/4-4))
	}
	return n
}

// maxHeader bounds what header writes: 12 + 4 + 9 + 4 + 3.
const maxHeader = 32

// bucket bounds what repeats may cost a viewer, in bytes: at once, per second, and in proportion to what it is sent.
type bucket struct {
	tokens, rate, limit float64
	at                  time.Time
	sent                uint64 // bytes that the viewer had been sent by then
}

// repairShare is what each byte sent earns for repeats: at 30 % loss 0.43 bytes are repeated for each, with repeats of
// repeats.
const repairShare = 0.5

func newRepairBucket() bucket { return bucket{tokens: 512 << 10, rate: 256 << 10, limit: 512 << 10} }

// take spends n bytes, or gives false; sent is what the viewer has been sent so far, without repeats.
func (b *bucket) take(n int, now time.Time, sent uint64) bool {
	if !b.at.IsZero() {
		b.tokens = min(b.limit, b.tokens+b.rate*now.Sub(b.at).Seconds()+repairShare*float64(sent-b.sent))
	}
	b.at, b.sent = now, sent
	if b.tokens < float64(n) {
		return false
	}
	b.tokens -= float64(n)
	return true
}
