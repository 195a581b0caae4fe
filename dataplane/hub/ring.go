package hub

import (
	"time"

	"github.com/millrace/millrace/dataplane/media"
)

// frameOverhead is what a frame counts for beside its media, so that a flood of tiny frames is bounded too.
const frameOverhead = 256

func cost(f *media.Frame) int { return f.Size + frameOverhead }

// ring is a bounded queue of frames in order of Seq. It drops whole GOPs from its front, so that it starts at a key
// frame; only a GOP that alone exceeds the bounds is cut, and then there is no place to join until the next key frame.
type ring struct {
	maxBytes int
	maxAge   time.Duration

	frames []*media.Frame // circular; length is a power of two
	first  uint64         // Seq of the oldest frame
	next   uint64         // Seq of the next frame to come
	bytes  int
	keys   []uint64 // Seqs of the key frames in the ring, oldest first
}

func newRing(maxBytes int, maxAge time.Duration) ring {
	return ring{maxBytes: maxBytes, maxAge: maxAge, frames: make([]*media.Frame, 64)}
}

func (r *ring) at(seq uint64) *media.Frame { return r.frames[seq&uint64(len(r.frames)-1)] }

// push appends a frame and makes room by the bounds.
func (r *ring) push(f *media.Frame) {
	if r.next-r.first == uint64(len(r.frames)) {
		r.grow()
	}
	f.Seq = r.next
	r.frames[f.Seq&uint64(len(r.frames)-1)] = f
	r.next++
	r.bytes += cost(f)
	if f.Key {
		r.keys = append(r.keys, f.Seq)
	}
	r.trim(f.DTS)
}

func (r *ring) trim(now time.Duration) {
	// Whole GOPs, as long as what stays still starts at a key frame and spans the age.
	for len(r.keys) > 1 && (r.bytes > r.maxBytes || r.tooOld(now) || now-r.at(r.keys[1]).DTS >= r.maxAge) {
		r.dropTo(r.keys[1])
	}
	// A single GOP beyond the bounds loses its front.
	for r.bytes > r.maxBytes || r.tooOld(now) {
		r.dropTo(r.first + 1)
	}
}

// tooOld reports whether the ring spans more time than even a single long GOP may.
func (r *ring) tooOld(now time.Duration) bool {
	return r.next-r.first > 1 && now-r.at(r.first).DTS > 2*r.maxAge
}

func (r *ring) dropTo(seq uint64) {
	for r.first < seq {
		i := r.first & uint64(len(r.frames)-1)
		r.bytes -= cost(r.frames[i])
		r.frames[i] = nil
		r.first++
	}
	for len(r.keys) > 0 && r.keys[0] < seq {
		r.keys = r.keys[1:] // a copy of what is left comes with the next append that finds no room
	}
}

func (r *ring) grow() {
	bigger := make([]*media.Frame, 2*len(r.frames))
	for s := r.first; s < r.next; s++ {
		bigger[s&uint64(len(bigger)-1)] = r.at(s)
	}
	r.frames = bigger
}

// newestKey is the Seq at which a reader joins: the newest key frame, or the next frame to come when there is none.
func (r *ring) newestKey() uint64 {
	if len(r.keys) == 0 {
		return r.next
	}
	return r.keys[len(r.keys)-1]
}
