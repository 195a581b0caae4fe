package hls

import (
	"context"
	"math"
	"slices"
	"time"

	"github.com/millrace/millrace/dataplane/media"
)

// endPart makes the part's bytes, shows it, and opens the next when one may come.
func (m *Muxer) endPart(goesOn bool) error {
	p := m.open()
	data, err := m.pack.Flush()
	if err != nil {
		return err
	}
	m.bytes.Add(int64(len(data)))
	m.change(func(st *state) {
		if m.before != nil {
			m.turn(st)
		}
		p.data = data
		m.seg.bytes += len(data)
		m.seg.duration += p.duration
		if p.duration == 0 && len(data) == 0 {
			m.seg.parts = m.seg.parts[:len(m.seg.parts)-1]
		}
		if goesOn {
			m.seg.parts = append(m.seg.parts, m.newPart())
		}
	})
	return nil
}

func (m *Muxer) newPart() *part {
	// A part that was hinted at and not begun keeps its number for the first of the next segment.
	p := &part{number: m.parts}
	m.parts++
	return p
}

// next ends the segment and begins one with a key frame. The last part is shown by itself, with the segment open behind
// it: hls.js loads no part that it first sees in a segment that is whole.
func (m *Muxer) next(f *media.Frame, discontinuity bool) error {
	if err := m.endLastPart(); err != nil {
		return err
	}
	return m.begin(f, discontinuity)
}

// endLastPart ends the part that has begun. Those of low latency are followed by one that playlists hint at.
func (m *Muxer) endLastPart() error {
	if m.open().duration == 0 {
		return nil
	}
	return m.endPart(m.Format == LowLatency)
}

// close makes a segment a whole one.
func (m *Muxer) close(st *state, s *segment) {
	if s.unmade() != nil {
		s.parts = s.parts[:len(s.parts)-1]
	}
	s.whole = true
	// A GOP that is longer than those before cannot be cut: the promise is changed, which players bear.
	st.target = max(st.target, int(math.Round(s.duration.Seconds())))
	m.trim(st)
}

// trim drops what no playlist lists any more.
func (m *Muxer) trim(st *state) {
	total := 0
	for _, s := range st.segments {
		total += s.bytes
	}
	for len(st.segments) > listed+kept || total > maxBytes && len(st.segments) > 1 {
		old := st.segments[0]
		total -= old.bytes
		if old.discontinuity {
			st.dropped++
		}
		m.bytes.Add(-int64(old.bytes))
		st.segments = slices.Delete(slices.Clone(st.segments), 0, 1)
	}
	first := st.segments[0].init
	for i := range st.inits {
		if i < first {
			delete(st.inits, i)
		}
	}
}

// finish ends the last segment and the stream. The last part is shown by itself for a while: hls.js loads no part any
// more that it sees first in a playlist that has ended, or whose last segment is whole, when it has loaded others of
// that segment.
func (m *Muxer) finish(ctx context.Context) error {
	if m.seg == nil {
		return nil
	}
	if m.pending != nil {
		if err := m.write(m.pending, m.usual); err != nil {
			return err
		}
		m.pending = nil
	}
	if err := m.endLastPart(); err != nil {
		return err
	}
	if m.Format == LowLatency {
		select {
		case <-time.After(m.opt.EndHold):
		case <-ctx.Done():
		}
	}
	m.change(func(st *state) {
		if m.before != nil {
			m.turn(st)
		}
		m.close(st, m.seg)
		st.ended = true
	})
	return nil
}
