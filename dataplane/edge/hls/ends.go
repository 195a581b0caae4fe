package hls

import (
	"context"
	"math"
	"slices"
	"time"

	"github.com/millrace/millrace/dataplane/media"
)

// endPart makes the part's bytes, shows it, and opens the next when the segment goes on.
func (m *Muxer) endPart(goesOn bool) error {
	p := m.open()
	data, err := m.pack.Flush()
	if err != nil {
		return err
	}
	m.bytes.Add(int64(len(data)))
	m.change(func(*state) {
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

// next ends the segment and begins one with a key frame.
func (m *Muxer) next(f *media.Frame, discontinuity bool) error {
	if err := m.endSegment(); err != nil {
		return err
	}
	return m.begin(f, discontinuity)
}

func (m *Muxer) endSegment() error {
	if err := m.endLastPart(); err != nil {
		return err
	}
	m.change(m.close)
	return nil
}

// endLastPart ends the segment's last part, or takes it away when there is nothing in it.
func (m *Muxer) endLastPart() error {
	if m.open().duration > 0 {
		return m.endPart(false)
	}
	m.parts = m.open().number // its number goes to the next segment's first part: the hint stays true
	m.change(func(*state) { m.seg.parts = m.seg.parts[:len(m.seg.parts)-1] })
	return nil
}

// close makes the segment a whole one.
func (m *Muxer) close(st *state) {
	m.seg.whole = true
	// A GOP that is longer than those before cannot be cut: the promise is changed, which players bear.
	st.target = max(st.target, int(math.Round(m.seg.duration.Seconds())))
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
	if m.Format == LowLatency {
		if m.open().duration > 0 {
			if err := m.endPart(true); err != nil {
				return err
			}
		}
		select {
		case <-time.After(m.opt.EndHold):
		case <-ctx.Done():
		}
	}
	if err := m.endLastPart(); err != nil {
		return err
	}
	m.change(func(st *state) {
		m.close(st)
		st.ended = true
	})
	return nil
}
