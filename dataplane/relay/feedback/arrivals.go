package feedback

import (
	"encoding/binary"
	"time"

	"github.com/millrace/millrace/dataplane/relay/fanout"
)

// maxStatuses bounds how many packets of one transport-wide feedback are looked at: more than any player sends in its
// interval.
const maxStatuses = 2048

// WalkTransportCC calls f for each packet that a transport-wide feedback tells of
// (draft-holmer-rmcat-transport-wide-cc-extensions-01, 3.1): whether it has arrived, and when by the player's clock, in
// ticks modulo 2^32. The body begins behind the header of the RTCP packet. What is malformed ends the walk.
func WalkTransportCC(body []byte, f func(seq uint16, arrived bool, at uint32)) {
	const fixed = 16 // SSRCs, base sequence number, count, reference time and number of the feedback
	if len(body) < fixed {
		return
	}
	base, count := binary.BigEndian.Uint16(body[8:]), int(binary.BigEndian.Uint16(body[10:]))
	at := binary.BigEndian.Uint32(body[12:]) &^ 0xff // 24 bits of 64 ms, which are 256 ticks, and the number
	chunks := body[fixed:]
	deltas, ok := behindChunks(chunks, count)
	if !ok {
		return
	}
	for done := 0; done < min(count, maxStatuses); chunks = chunks[2:] {
		chunk := binary.BigEndian.Uint16(chunks)
		for i := 0; i < statuses(chunk) && done < min(count, maxStatuses); i, done = i+1, done+1 {
			seq := base + uint16(done)
			switch symbol(chunk, i) {
			case 1: // one byte, unsigned
				if len(deltas) < 1 {
					return
				}
				at += uint32(deltas[0])
				deltas = deltas[1:]
			case 2: // two bytes, signed
				if len(deltas) < 2 {
					return
				}
				at += uint32(int32(int16(binary.BigEndian.Uint16(deltas))))
				deltas = deltas[2:]
			default:
				f(seq, false, 0)
				continue
			}
			f(seq, true, at)
		}
	}
}

// behindChunks returns what stands behind the chunks that tell of count packets.
func behindChunks(b []byte, count int) ([]byte, bool) {
	for count > 0 {
		if len(b) < 2 {
			return nil, false
		}
		n := statuses(binary.BigEndian.Uint16(b))
		if n == 0 {
			return nil, false
		}
		count -= n
		b = b[2:]
	}
	return b, true
}

// statuses is of how many packets a chunk tells: a run (3.1.3), or a vector of 14 or 7 symbols (3.1.4).
func statuses(chunk uint16) int {
	switch {
	case chunk&0x8000 == 0:
		return int(chunk & 0x1fff)
	case chunk&0x4000 == 0:
		return 14
	}
	return 7
}

// symbol is what a chunk says of its i-th packet.
func symbol(chunk uint16, i int) uint16 {
	switch {
	case chunk&0x8000 == 0:
		return chunk >> 13 & 3
	case chunk&0x4000 == 0:
		return chunk >> (13 - i) & 1
	}
	return chunk >> (12 - 2*i) & 3
}

// Arrivals makes of transport-wide feedback how long packets wait on the way, and how many are lost.
type Arrivals struct {
	known bool
	// the shortest way, by two clocks that differ, in ticks modulo 2^32; rises slowly, for clocks drift apart
	base  uint32
	since time.Time // when the period began
	least int32     // the shortest way of the period, over base: a queue that stands, not one that comes and goes
	timed bool      // least is known
	seen  int       // packets that have arrived in the period
	lost  int
}

// arrivalPeriod is over how long arrivals are looked at together.
const arrivalPeriod = time.Second

// Take adds one packet, and how long it was on its way if that is known.
func (a *Arrivals) Take(arrived bool, way uint32, known bool) {
	if !arrived {
		a.lost++
		return
	}
	a.seen++
	if !known {
		return
	}
	if !a.known || int32(way-a.base) < 0 {
		a.known, a.base = true, way
	}
	if over := int32(way - a.base); !a.timed || over < a.least {
		a.timed, a.least = true, over
	}
}

// End returns the waiting time and the fraction of packets lost of a period that is over.
func (a *Arrivals) End(now time.Time) (queue time.Duration, lost float64, ok bool) {
	switch {
	case a.since.IsZero():
		a.begin(now)
		return 0, 0, false
	case now.Sub(a.since) < arrivalPeriod || !a.timed:
		return 0, 0, false
	}
	queue, lost = time.Duration(a.least)*fanout.SentTick, float64(a.lost)/float64(a.lost+a.seen)
	a.base += uint32(min(a.least, int32(time.Millisecond/fanout.SentTick)))
	a.begin(now)
	return queue, lost, true
}

func (a *Arrivals) begin(now time.Time) { *a = Arrivals{known: a.known, base: a.base, since: now} }
