package media

import "time"

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
	r := bitReader{data: unit[1:]}
	for {
		typ := r.seiNumber()
		size := r.seiNumber()
		if r.failed {
			return false
		}
		if typ == seiRecoveryPoint {
			return size > 0
		}
		for range size {
			if r.octet(); r.failed {
				return false
			}
		}
	}
}

// seiNumber reads a payload type or size: bytes of 255 and a last one are summed.
func (r *bitReader) seiNumber() int {
	n := 0
	for {
		b := r.octet()
		n += b
		if b != 255 || r.failed {
			return n
		}
	}
}

func (r *bitReader) octet() int {
	n := uint32(0)
	for range 8 {
		n = n<<1 | r.bit()
	}
	return int(n)
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
// a word. The unit that says it goes with the frame.
func MarkRecovery(f *Frame, sets [][]byte) {
	if f.Key || f.Recovery || f.Track.Codec != H264 || !onlyI(f.Units) {
		return
	}
	f.Recovery = true
	f.Units = append(append(append(make([][]byte, 0, len(sets)+1+len(f.Units)), sets...), recoveryPoint()), f.Units...)
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
