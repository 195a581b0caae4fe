package media

import (
	"slices"
	"time"
)

const (
	h264SEI          = 6
	seiRecoveryPoint = 6 // payloadType (ITU-T H.264, D.1.1)
	h264SliceTypeI   = 2 // slice_type modulo 5 (ITU-T H.264, table 7-6)
)

// recoveryPoint is an SEI message that says: who begins to decode here shows right pictures from here on (ITU-T H.264,
// D.1.8; recovery_frame_cnt 0, exact_match_flag 0, broken_link_flag 0, changing_slice_group_idc 0).
func recoveryPoint() []byte { return []byte{h264SEI, seiRecoveryPoint, 1, 0x84, 0x80} }

// isRecoveryPoint reports whether a NAL unit is an SEI of H.264 that has a recovery point message (ITU-T H.264,
// 7.3.2.3).
func isRecoveryPoint(unit []byte) bool {
	if nalType(H264, unit) != h264SEI {
		return false
	}
	r := payload{rest: unit[1:]}
	for {
		typ, size := r.number(), r.number()
		switch {
		case r.ended:
			return false
		case typ == seiRecoveryPoint:
			return size > 0
		}
		for ; size > 0 && !r.ended; size-- {
			r.next()
		}
	}
}

// payload reads a raw byte sequence payload byte by byte, leaving out emulation prevention bytes (ITU-T H.264, 7.3.1).
// Behind the end it gives zeros.
type payload struct {
	rest  []byte
	zeros int // zero bytes just read
	ended bool
}

func (p *payload) next() byte {
	if p.zeros >= 2 && len(p.rest) > 0 && p.rest[0] == 3 {
		p.rest, p.zeros = p.rest[1:], 0
	}
	if len(p.rest) == 0 {
		p.ended = true
		return 0
	}
	b := p.rest[0]
	p.rest = p.rest[1:]
	if p.zeros++; b != 0 {
		p.zeros = 0
	}
	return b
}

// number reads a payload type or size: bytes of 255 and a last one are summed.
func (p *payload) number() int {
	n := 0
	for {
		b := p.next()
		if n += int(b); b != 255 {
			return n
		}
	}
}

// onlyI reports whether all slices of a picture are I slices (ITU-T H.264, 7.3.3).
func onlyI(units [][]byte) bool {
	found := false
	for _, unit := range units {
		if typ := nalType(H264, unit); typ == h264Slice || typ == h264PartitionA {
			if sliceType(unit) != h264SliceTypeI {
				return false
			}
			found = true
		}
	}
	return found
}

// MarkRecovery makes a recovery point of a picture of H.264 that the container calls a key frame and that is coded
// without reference to others, but is no IDR picture and does not say so itself: DVB and others send I pictures without
// a word. The unit that says it goes with the frame, which has just come from Frame.
func (a *AccessUnits) MarkRecovery(f *Frame) {
	if f.Key || f.Recovery || a.codec != H264 || !onlyI(f.Units) {
		return
	}
	f.Recovery = true
	f.Units = slices.Insert(a.withSets(f.Units), len(a.sets), recoveryPoint())
	f.Size = 0
	for _, unit := range f.Units {
		f.Size += len(unit)
	}
}

// joinAfter is how long a source goes without an IDR picture until its recovery points become places to join. Sources
// whose IDR pictures come in time keep these alone, which every player can join at.
const joinAfter = 3 * time.Second

// Joins says where a source can be joined. The zero value is ready. It is not safe for concurrent use.
type Joins struct {
	seen bool
	last time.Duration // DTS of the last IDR picture
}

// Mark makes a key frame of a recovery point that is needed for one.
func (j *Joins) Mark(f *Frame) {
	switch {
	case f.Key:
		j.seen, j.last = true, f.DTS
	case f.Recovery && (!j.seen || f.DTS-j.last >= joinAfter):
		f.Key, f.Disposable = true, false
	}
}
