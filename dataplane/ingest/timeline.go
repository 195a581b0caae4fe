package ingest

import (
	"time"

	"github.com/millrace/millrace/dataplane/media"
)

const (
	maxBackward = 100 * time.Millisecond // a step back up to this is clamped, a larger one is a new time base
	maxForward  = 10 * time.Second       // a step forward beyond this is a new time base
	rebaseStep  = 20 * time.Millisecond
)

// timeline turns RTMP time stamps (milliseconds in 32 bits) into times that never decrease within a kind of media.
// Jumps of the source, such as a restarted input or a wrapped counter, are bridged: audio and video keep their
// relation.
type timeline struct {
	started bool
	last    uint32        // last time stamp of any message
	wide    time.Duration // the same, unwrapped
	offset  time.Duration
	newest  time.Duration // largest time given out
	kinds   [3]struct {
		seen bool
		dts  time.Duration
	}
	repairs int
}

// at maps the time stamp of a message of a kind.
func (t *timeline) at(kind media.Kind, stamp uint32) time.Duration {
	if !t.started {
		t.started, t.last = true, stamp
	}
	t.wide += time.Duration(int32(stamp-t.last)) * time.Millisecond
	t.last = stamp
	out := t.wide + t.offset
	k := &t.kinds[kind]
	oldest := k.dts - maxBackward
	if !k.seen { // the first of its kind may well lie behind the other kind
		oldest = t.newest - maxForward
	}
	if out < oldest || out > t.newest+maxForward {
		t.repairs++
		t.offset += t.newest + rebaseStep - out
		out = t.newest + rebaseStep
	}
	if k.seen && out < k.dts {
		t.repairs++
		out = k.dts
	}
	k.seen, k.dts = true, out
	t.newest = max(t.newest, out)
	return out
}
