package flv

import (
	"slices"
	"sync"
	"time"

	"github.com/millrace/millrace/internal/play/meter"
)

// ledgerMost bounds the tags of a kind that are remembered: minutes of a stream. A reader that is further behind is not
// compared.
const ledgerMost = 16384

// ledger is what all readers of a stream got together: every tag that came to any of them, in the order of time stamps,
// which rise within a kind. A reader has lost the tags of it that lie between two that it got. So nothing has to be
// known of the server; only a tag that came to no reader at all is not missed.
type ledger struct {
	mu    sync.Mutex
	kinds [2]series // video, audio
	epoch time.Time // the wall clock at time stamp 0, where that is known
	base  time.Duration
	based bool
}

// entry is a tag that came.
type entry struct {
	at        uint32
	size, sum uint32
}

// series are the tags of one kind.
type series struct {
	entries   []entry
	forgotten bool // older ones were dropped
	places    []*place
}

// place is where a reader is in a series. Guarded by the ledger.
type place struct {
	first, last uint32
	begun       bool

	tags      uint64
	lost      uint64 // came to others only, between two that came to this reader
	differing uint64 // came to others with another content
	backwards uint64 // time stamps that do not rise
}

// enter makes a place for a reader.
func (s *series) enter() *place {
	p := &place{}
	s.places = append(s.places, p)
	return p
}

// note takes a tag of a reader.
func (s *series) note(p *place, e entry) {
	p.tags++
	if p.begun && e.at <= p.last {
		p.backwards++
		return
	}
	i, found := s.find(e.at)
	switch {
	case found:
		if s.entries[i] != e {
			p.differing++
		}
	case i == 0 && s.forgotten: // too old to be compared
	default:
		if i < len(s.entries) { // the others that are past it were not given it
			for _, q := range s.places {
				if q != p && q.begun && q.first < e.at && q.last > e.at {
					q.lost++
				}
			}
		}
		s.entries = slices.Insert(s.entries, i, e)
	}
	if p.begun {
		if from, known := s.find(p.last); known {
			p.lost += uint64(i - from - 1)
		}
	} else {
		p.first, p.begun = e.at, true
	}
	p.last = e.at
	if len(s.entries) > ledgerMost {
		s.entries = slices.Delete(s.entries, 0, ledgerMost/2)
		s.forgotten = true
	}
}

// find returns the place of a time stamp; readers are near the end.
func (s *series) find(at uint32) (int, bool) {
	for i := len(s.entries) - 1; i >= max(len(s.entries)-8, 0); i-- {
		if s.entries[i].at == at {
			return i, true
		}
		if s.entries[i].at < at {
			return i + 1, false
		}
	}
	return slices.BinarySearchFunc(s.entries, at, func(e entry, at uint32) int { return int(int64(e.at) - int64(at)) })
}

// late returns how late a tag came: after it was made, where the epoch is known; else by how much later than the one
// that came fastest so far.
func (l *ledger) late(at uint32, now time.Time) time.Duration {
	behind := now.Sub(l.epoch) - time.Duration(at)*time.Millisecond
	if !l.epoch.IsZero() && !l.based {
		return behind
	}
	if !l.based || behind < l.base {
		l.base, l.based = behind, true
	}
	return behind - l.base
}

// group is what readers of one sort have in common. Guarded by the ledger.
type group struct {
	latency meter.Histogram
}
