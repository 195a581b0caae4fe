package hls

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"
)

// The reasons for which a playlist or a resource is not given.
var (
	ErrTooFar  = errors.New("the playlist asked for lies too far ahead")
	ErrTimeout = errors.New("the stream has brought nothing new for too long")
	ErrGone    = errors.New("there is no such segment, or not any more")
)

// Want is what a player waits for: the delivery directives _HLS_msn and _HLS_part (RFC 8216bis, 6.2.5.2).
type Want struct {
	Blocking bool
	MSN      uint64
	Part     int // -1: the whole segment
}

// Playlist returns the media playlist, when what is wanted is in it. Query is appended to each URI, with its leading
// question mark; it carries what segments need to be authorised.
func (m *Muxer) Playlist(ctx context.Context, want Want, query string) ([]byte, error) {
	deadline := time.NewTimer(m.patience())
	defer deadline.Stop()
	for {
		m.mu.Lock()
		st, more := m.state, m.more
		ready, err := st.has(want)
		var text []byte
		if err == nil && ready {
			text = st.render(m.Format, query)
		}
		m.mu.Unlock()
		if err != nil || ready {
			return text, err
		}
		select {
		case <-more:
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-deadline.C:
			return nil, ErrTimeout
		}
	}
}

// patience is how long a request may wait: three target durations (RFC 8216bis, 6.2.5.2), at least for the first
// segment of a stream.
func (m *Muxer) patience() time.Duration {
	m.mu.Lock()
	defer m.mu.Unlock()
	return 3 * time.Duration(max(m.state.target, 3)) * time.Second
}

// has reports whether a playlist has what is wanted; without directives, anything to play.
func (st *state) has(want Want) (bool, error) {
	if st.failed != nil {
		return false, st.failed
	}
	if st.ended {
		if len(st.segments) == 0 {
			return false, ErrGone
		}
		return true, nil
	}
	if len(st.segments) == 0 || !st.filled {
		return false, nil
	}
	last := st.segments[len(st.segments)-1]
	if !want.Blocking {
		return st.segments[0].whole, nil // players without parts refuse a playlist that has no segment
	}
	if want.MSN > last.msn+2 {
		return false, ErrTooFar
	}
	if want.Part < 0 {
		return last.msn > want.MSN || last.msn == want.MSN && last.whole, nil
	}
	if last.msn < want.MSN {
		return false, nil
	}
	for _, s := range st.segments {
		if s.msn != want.MSN {
			continue
		}
		if want.Part < s.ready() {
			return true, nil
		}
		// A part beyond the segment's end is the first of the next.
		return s.whole && last.msn > s.msn && last.ready() > 0, nil
	}
	return true, nil // long there
}

// ready is the number of parts that can be had.
func (s *segment) ready() int {
	n := len(s.parts)
	if n > 0 && s.parts[n-1].data == nil {
		n--
	}
	return n
}

// render writes the playlist (RFC 8216bis, 4.4).
func (st *state) render(f Format, query string) []byte {
	var b bytes.Buffer
	list := st.segments
	var open *segment
	if n := len(list); n > 0 && !list[n-1].whole {
		list, open = list[:n-1], list[n-1]
	}
	skipped := st.dropped
	if over := len(list) - listed; over > 0 {
		for _, s := range list[:over] {
			if s.discontinuity {
				skipped++
			}
		}
		list = list[over:]
	}
	first := open
	if len(list) > 0 {
		first = list[0]
	}
	version := 3
	if f == LowLatency {
		version = 9
	}
	fmt.Fprintf(
		&b,
		"#EXTM3U\n#EXT-X-VERSION:%d\n#EXT-X-INDEPENDENT-SEGMENTS\n#EXT-X-TARGETDURATION:%d\n",
		version,
		st.target,
	)
	if f == LowLatency {
		fmt.Fprintf(&b, "#EXT-X-SERVER-CONTROL:CAN-BLOCK-RELOAD=YES,PART-HOLD-BACK=%.3f\n#EXT-X-PART-INF:PART-TARGET=%.3f\n",
			3*st.partTarget.Seconds(), st.partTarget.Seconds())
	}
	msn := uint64(0)
	if first != nil {
		msn = first.msn
	}
	fmt.Fprintf(&b, "#EXT-X-MEDIA-SEQUENCE:%d\n", msn)
	if skipped > 0 {
		fmt.Fprintf(&b, "#EXT-X-DISCONTINUITY-SEQUENCE:%d\n", skipped)
	}
	// Parts of what lies more than three target durations back are of no use (RFC 8216bis, 4.4.4.9).
	near := len(list)
	for d := time.Duration(0); near > 0 && d < 3*time.Duration(st.target)*time.Second; near-- {
		d += list[near-1].duration
	}
	shown := -1
	head := func(s *segment) {
		if s.discontinuity {
			b.WriteString("#EXT-X-DISCONTINUITY\n")
		}
		if f == LowLatency && s.init != shown {
			fmt.Fprintf(&b, "#EXT-X-MAP:URI=\"init%d.mp4%s\"\n", s.init, query)
			shown = s.init
		}
		fmt.Fprintf(&b, "#EXT-X-PROGRAM-DATE-TIME:%s\n", s.start.UTC().Format("2006-01-02T15:04:05.000Z"))
	}
	for i, s := range list {
		head(s)
		if f == LowLatency && i >= near {
			s.renderParts(&b, query)
		}
		fmt.Fprintf(&b, "#EXTINF:%.5f,\n%s%s\n", s.duration.Seconds(), s.name(f), query)
	}
	if open != nil && f == LowLatency && !st.ended {
		head(open)
		open.renderParts(&b, query)
		if n := len(open.parts); n > 0 && open.parts[n-1].data == nil {
			fmt.Fprintf(&b, "#EXT-X-PRELOAD-HINT:TYPE=PART,URI=\"%s%s\"\n", open.parts[n-1].name(), query)
		}
	}
	if st.ended {
		b.WriteString("#EXT-X-ENDLIST\n")
	}
	return b.Bytes()
}

func (s *segment) renderParts(b *bytes.Buffer, query string) {
	for _, p := range s.parts[:s.ready()] {
		fmt.Fprintf(b, "#EXT-X-PART:DURATION=%.5f,URI=\"%s%s\"", p.duration.Seconds(), p.name(), query)
		if p.independent {
			b.WriteString(",INDEPENDENT=YES")
		}
		b.WriteByte('\n')
	}
}

func (s *segment) name(f Format) string {
	if f == TS {
		return "seg" + strconv.FormatUint(s.msn, 10) + ".ts"
	}
	return "seg" + strconv.FormatUint(s.msn, 10) + ".m4s"
}

func (p *part) name() string { return "part" + strconv.FormatUint(p.number, 10) + ".m4s" }

// Resource returns the bytes of a segment, part or initialisation segment, in pieces, and their media type. It waits
// for the part that comes next, because playlists hint at it.
func (m *Muxer) Resource(ctx context.Context, name string) (pieces [][]byte, mime string, err error) {
	deadline := time.NewTimer(m.patience())
	defer deadline.Stop()
	for {
		m.mu.Lock()
		pieces, wait := m.state.find(name, m.Format)
		more := m.more
		m.mu.Unlock()
		switch {
		case pieces != nil && m.Format == TS:
			return pieces, "video/mp2t", nil
		case pieces != nil:
			return pieces, "video/mp4", nil
		case !wait:
			return nil, "", ErrGone
		}
		select {
		case <-more:
		case <-ctx.Done():
			return nil, "", ctx.Err()
		case <-deadline.C:
			return nil, "", ErrTimeout
		}
	}
}

// find looks a name up; wait tells that it is the part that comes next.
func (st *state) find(name string, f Format) (pieces [][]byte, wait bool) {
	number := func(prefix, suffix string) (uint64, bool) {
		text, ok1 := strings.CutPrefix(name, prefix)
		text, ok2 := strings.CutSuffix(text, suffix)
		n, err := strconv.ParseUint(text, 10, 63)
		return n, ok1 && ok2 && err == nil
	}
	if n, ok := number("init", ".mp4"); ok {
		if b := st.inits[int(n)]; b != nil {
			return [][]byte{b}, false
		}
		return nil, false
	}
	if n, ok := number("part", ".m4s"); ok && f == LowLatency {
		return st.part(n)
	}
	suffix := ".m4s"
	if f == TS {
		suffix = ".ts"
	}
	if n, ok := number("seg", suffix); ok {
		for _, s := range st.segments {
			if s.msn == n && s.whole {
				for _, p := range s.parts {
					pieces = append(pieces, p.data)
				}
				return pieces, false
			}
		}
	}
	return nil, false
}

func (st *state) part(n uint64) (pieces [][]byte, wait bool) {
	next := uint64(0)
	for _, s := range st.segments {
		for _, p := range s.parts {
			if p.number == n && p.data != nil {
				return [][]byte{p.data}, false
			}
			next = p.number
			if p.data != nil {
				next++
			}
		}
	}
	return nil, n == next && !st.ended
}
