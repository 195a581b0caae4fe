package fanout

import (
	"sync/atomic"
	"time"

	"github.com/millrace/millrace/dataplane/media"
)

// SentTick is the unit in which times of sending are kept: that of transport-wide feedback
// (draft-holmer-rmcat-transport-wide-cc-extensions-01, 3.1.5).
const SentTick = 250 * time.Microsecond

// sentPackets is for how many packets the time of sending is kept: of 6 Mbit/s it is most of a second.
const sentPackets = 512

// sentTimes keeps when packets were sent: the worker writes, whoever reads the player's reports reads. An entry is a
// sequence number in the upper 16 bits and a time in ticks, modulo 2^32, in the lower ones; 1<<32 marks it as written.
type sentTimes []atomic.Uint64

func newSentTimes() sentTimes { return make(sentTimes, sentPackets) }

func (s sentTimes) note(seq uint16, at time.Time) {
	s[seq%sentPackets].Store(uint64(seq)<<48 | 1<<32 | uint64(ticks(at)))
}

func ticks(at time.Time) uint32 { return uint32(at.UnixNano() / int64(SentTick)) }

// SentAt tells when a packet of video was sent, in ticks modulo 2^32; false when that is not known (any more).
func (v *Viewer) SentAt(seq uint16) (uint32, bool) {
	l := v.lane(media.Video)
	if l == nil || l.sent == nil {
		return 0, false
	}
	e := l.sent[seq%sentPackets].Load()
	return uint32(e), e&(1<<32) != 0 && uint16(e>>48) == seq
}
