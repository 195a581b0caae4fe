package meter

import (
	"time"

	"github.com/millrace/millrace/dataplane/media"
)

// The packets back from the newest that a stream remembers: late ones in the window are told from duplicates.
const (
	videoWindow = 2048
	audioWindow = 256
)

// startCycle leaves room below the first sequence number, so that packets overtaken by it do not become negative.
const startCycle = 1 << 16

const (
	flagPresent = 1 << iota
	flagMarker
	flagKey
)

// slot is what is remembered of one sequence number.
type slot struct {
	seq   int64  // extended sequence number; 0 for an unused slot
	time  int64  // present: capture time in Unix ns or 0; absent: when to ask for it next
	ts    uint32 // present: RTP timestamp; absent: when it was found missing, in Unix ms modulo 2^32
	flags uint8
	asked uint8 // how often it was asked for
}

// stream counts the packets of one SSRC and puts them back in order.
type stream struct {
	ssrc  uint32
	codec media.Codec
	clock int64 // RTP ticks per second
	slots []slot

	started        bool
	first, highest int64 // extended sequence numbers
	unique         uint64
	duplicates     uint64
	recovered      uint64
	asks           uint64 // packets asked for, each time counted
	reordered      uint64
	bytes          uint64
	firstArrival   int64
	lastArrival    int64
	jitter         float64 // RFC 3550, section 6.4.1, in ticks
	lastTransit    int64
	reportExpected uint64 // for the fraction in receiver reports
	reportUnique   uint64

	assembly
	clockMap
}

func newStream(ssrc uint32, codec media.Codec, opaque bool) *stream {
	s := &stream{ssrc: ssrc, codec: codec, clock: 90000}
	window := videoWindow
	if codec.Kind() == media.Audio {
		s.clock, window = 48000, audioWindow
	}
	s.slots = make([]slot, window)
	s.opaque = opaque || codec != media.H264
	s.broken = !s.opaque
	return s
}

func (s *stream) at(seq int64) *slot { return &s.slots[seq&int64(len(s.slots)-1)] }

// add takes one packet in: it counts it, remembers it, and assembles the frames that it completes.
func (s *stream) add(p *Packet) {
	seq := s.extend(p.Seq)
	if !s.started {
		s.started = true
		s.first, s.highest, s.cursor = seq, seq-1, seq
		s.firstArrival = p.Arrival
	}
	switch {
	case seq > s.highest:
		// What lies between is missing for now.
		for missing := max(s.highest+1, seq-int64(len(s.slots))+1); missing < seq; missing++ {
			*s.at(missing) = slot{seq: missing, time: p.Arrival + int64(firstAsk), ts: unixMs(p.Arrival)}
		}
		s.highest = seq
		s.measureJitter(p)
	case seq <= s.highest-int64(len(s.slots)):
		s.duplicates++ // too late to be told from a duplicate
		return
	case s.at(seq).seq == seq && s.at(seq).flags&flagPresent != 0:
		s.duplicates++
		return
	case p.Repair || (s.at(seq).seq == seq && s.at(seq).asked > 0):
		s.recovered++
	default:
		s.reordered++
	}
	s.first = min(s.first, seq)
	s.unique++
	s.bytes += uint64(p.Size)
	s.lastArrival = p.Arrival

	kept := slot{seq: seq, time: p.Capture, ts: p.Time, flags: flagPresent}
	if p.Marker {
		kept.flags |= flagMarker
	}
	if p.Payload != nil && s.codec == media.H264 && s.look(p.Payload) {
		kept.flags |= flagKey
	}
	*s.at(seq) = kept
	if s.codec.Kind() == media.Video {
		s.advance(p.Arrival)
	} else {
		s.skipHoles(p.Arrival)
	}
}

// extend returns the sequence number without wrap-around: the one nearest to the newest.
func (s *stream) extend(seq uint16) int64 {
	if !s.started {
		return startCycle + int64(seq)
	}
	return s.highest + int64(int16(seq-uint16(s.highest)))
}

// expected is how many packets the sender has sent from the first to the newest that arrived.
func (s *stream) expected() uint64 {
	if !s.started {
		return 0
	}
	return uint64(s.highest - s.first + 1)
}

// lost is how many of them are not here.
func (s *stream) lost() uint64 { return s.expected() - s.unique }

// skipHoles moves an audio stream's cursor over what has arrived and over what will not come any more.
func (s *stream) skipHoles(now int64) {
	for s.cursor <= s.highest {
		if kept := s.at(s.cursor); kept.flags&flagPresent == 0 || kept.seq != s.cursor {
			if !s.giveUp(now) {
				return
			}
		}
		s.cursor++
		s.holeSince = 0
	}
}

// unixMs cuts Unix ns down to ms modulo 2^32.
func unixMs(ns int64) uint32 { return uint32(ns / int64(time.Millisecond)) }

func (s *stream) measureJitter(p *Packet) {
	transit := p.Arrival/1000*s.clock/1_000_000 - int64(p.Time)
	if s.lastTransit != 0 {
		d := transit - s.lastTransit
		if d < 0 {
			d = -d
		}
		if d < s.clock*10 { // a wrap-around or a jump of the timestamp is no jitter
			s.jitter += (float64(d) - s.jitter) / 16
		}
	}
	s.lastTransit = transit
}
