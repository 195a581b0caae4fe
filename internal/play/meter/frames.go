package meter

import (
	"time"
)

// patience is how long a missing packet may still come before the frame is given up.
const patience = 500 * time.Millisecond

// A stall is a distance between two decodable frames of more than three frame intervals, and of at least minStall.
const minStall = 200 * time.Millisecond

// assembly puts the packets of a video stream together to frames, in the order of their sequence numbers.
type assembly struct {
	opaque    bool // key frames cannot be seen
	cursor    int64
	holeSince int64 // Unix ns since when the packet at the cursor is waited for; 0 when it is not missing

	open     bool // a frame has begun
	ts       uint32
	key      bool
	capture  int64
	damaged  bool
	holes    int  // packets given up since the last one that was there
	broken   bool // a frame that others refer to is missing: nothing can be decoded until the next key frame
	complete uint64
	frames   uint64 // decodable
	distinct uint64 // of them, those that are newer than all before
	oldest   int64  // capture time of the first and of the newest decodable frame
	newest   int64
	keys     uint64
	bad      uint64

	lastFrame   int64 // arrival
	lastTS      uint32
	interval    float64 // ns, smoothed
	stalls      uint64
	stalled     time.Duration
	longestGap  time.Duration
	settledAt   int64 // arrival of the first frame that counts for the rates
	settled     uint64
	settledSize uint64 // bytes of the stream by then
	firstFrame  int64

	askedKey      time.Time
	sps           []byte
	width, height int
}

// advance moves the cursor over all packets that are there, and over holes that are given up.
func (s *stream) advance(now int64) {
	for s.cursor <= s.highest {
		kept := s.at(s.cursor)
		if kept.seq != s.cursor || kept.flags&flagPresent == 0 {
			if !s.giveUp(now) {
				return
			}
			s.holes++
			s.damaged = true
			s.broken = s.broken || !s.opaque
			s.cursor++
			s.holeSince = 0
			continue
		}
		s.take(kept, now)
		s.cursor++
		s.holeSince = 0
	}
}

// giveUp reports whether the missing packet at the cursor is no longer waited for: each has its time from when it was
// found missing, so that many of them together take no longer than one.
func (s *stream) giveUp(now int64) bool {
	if s.holeSince == 0 {
		s.holeSince = now
	}
	if kept := s.at(s.cursor); kept.seq == s.cursor && int32(unixMs(now)-kept.ts) > int32(patience/time.Millisecond) {
		return true
	}
	return now-s.holeSince > int64(patience) || s.highest-s.cursor >= int64(len(s.slots))-1
}

// take adds the next packet in order to its frame.
func (s *stream) take(kept *slot, now int64) {
	if s.open && kept.ts != s.ts {
		// The frame had no marker. With one hole before this packet it was the lost one, the last of that frame; with more,
		// this frame's beginning may be among them.
		lostStart := s.holes > 1
		s.closeFrame(now)
		s.damaged = lostStart
	}
	s.holes = 0
	if !s.open {
		s.open, s.ts, s.key, s.capture = true, kept.ts, false, 0
	}
	s.key = s.key || kept.flags&flagKey != 0
	if kept.time != 0 {
		s.capture = kept.time
	}
	if kept.flags&flagMarker != 0 {
		s.closeFrame(now)
	}
}

// closeFrame counts the open frame.
func (s *stream) closeFrame(now int64) {
	whole := !s.damaged
	s.open, s.damaged = false, false
	if !whole {
		s.bad++
		return
	}
	s.complete++
	if s.key {
		s.keys++
		s.broken = false
	}
	if s.broken {
		return
	}
	s.frames++
	s.tellApart()
	s.pace(now)
	if s.firstFrame == 0 {
		s.firstFrame = now
	}
	if now-s.firstFrame >= int64(Settle) {
		if s.settledAt == 0 {
			s.settledAt, s.settledSize = now, s.bytes
		} else {
			s.settled++
		}
		if wall, ok := s.wall(s.ts, s.capture); ok {
			s.latency.Add(time.Duration(now - wall))
		}
	}
	s.remember(s.ts, s.capture)
}

// tellApart counts the frame unless a restart at a key frame has brought it again.
func (s *stream) tellApart() {
	if s.capture != 0 && s.capture <= s.newest {
		return
	}
	s.distinct++
	if s.oldest == 0 {
		s.oldest = s.capture
	}
	s.newest = s.capture
}

// pace looks for a stall before the frame that ends now.
func (s *stream) pace(now int64) {
	if s.lastFrame != 0 {
		gap := time.Duration(now - s.lastFrame)
		s.longestGap = max(s.longestGap, gap)
		if gap > s.stallLimit() {
			s.stalls++
			s.stalled += gap - time.Duration(s.interval)
		}
		step := float64(int32(s.ts-s.lastTS)) / float64(s.clock) * float64(time.Second)
		if step > 0 && step < float64(time.Second) {
			if s.interval == 0 {
				s.interval = step
			}
			s.interval += (step - s.interval) / 8
		}
	}
	s.lastFrame, s.lastTS = now, s.ts
}

func (s *stream) stallLimit() time.Duration {
	return max(time.Duration(3*s.interval), minStall)
}
