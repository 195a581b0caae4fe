package edge

import "time"

// A write may wait for long for several reasons. Who reads little, or is on a thin line, goes on and misses what there
// is no time for. Who answers but takes nothing (a player that is paused) is ended after idleTimes the stall time:
// receivers open a window that was full only when most of it has been read, which takes a slow one long. Who does not
// even answer is gone, and ended after the stall time.
const idleTimes = 6

// stallWatch is what was seen of a connection whose write waits. It is the sweeping goroutine's.
type stallWatch struct {
	write uint64    // number of the write
	acked uint64    // bytes that the other side had acknowledged at the last look
	since time.Time // when this was first seen
}

// answers is what the kernel knows of the other side of a connection.
type answers struct {
	acked  uint64        // bytes that it has acknowledged
	silent time.Duration // since it last acknowledged anything, while it was asked to
}

// stalled reports whether a viewer's connection is to be ended. It is asked about once a second; only connections that
// have kept a write waiting since the last time cost a system call.
func (o *outlet) stalled(now time.Time, limit time.Duration) bool {
	write := o.writes.Load()
	if write%2 == 0 || write != o.watch.write {
		o.watch = stallWatch{write: write, since: now}
		return false
	}
	a, known := answersOf(o.conn)
	if a.acked != o.watch.acked {
		o.watch.acked, o.watch.since = a.acked, now
		return false
	}
	waits := now.Sub(o.watch.since)
	if !known { // a write that waits at all is all there is to see
		return waits >= limit
	}
	return waits >= idleTimes*limit || a.silent >= limit
}
