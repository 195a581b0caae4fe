package hls

import (
	"context"
	"errors"
	"io"
	"math"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/millrace/millrace/dataplane/hub"
	"github.com/millrace/millrace/dataplane/media"
	"github.com/millrace/millrace/dataplane/mux"
)

const (
	minSegment  = 2 * time.Second        // segments end at the first key frame after it
	aimedPart   = 200 * time.Millisecond // parts are the whole number of frames that comes nearest
	listed      = 6                      // whole segments in a playlist
	kept        = 3                      // further ones that late players can still fetch
	maxBytes    = 64 << 20               // of all segments of a muxer; beyond it the oldest go
	maxSegment  = 32 << 20               // of one segment: a key frame that never comes ends the muxer
	segmentSlop = 50 * time.Millisecond  // by which time stamps in milliseconds may miss minSegment
)

var errTooLarge = errors.New("a segment grows beyond its bound: the stream has no key frames")

// Muxer cuts one stream into segments of one format. It is safe for concurrent use; a goroutine of its own writes.
type Muxer struct {
	ID     string
	Key    hub.Key
	Format Format

	stream *hub.Stream
	opt    Options
	stop   context.CancelFunc
	done   chan struct{}
	used   clock
	bytes  atomic.Int64

	mu    sync.Mutex
	state state
	more  chan struct{} // closed with each change of state

	// Owned by the writing goroutine.
	lead    media.Kind
	pack    mux.Packager
	pending *media.Frame // the newest frame of the leading kind, whose duration shows with the next
	usual   time.Duration
	epoch   uint64
	wall    wallTime
	seg     *segment // being written
	before  *segment // has ended, and is shown as whole together with the first part of seg; nil: there is none
	init    []byte   // of seg, until it is shown
	parts   uint64   // all that were begun

	// The tracks that the initialisation segment in force describes; nil for a kind that it lacks.
	video, audio *media.Track
	sound        *media.Track // of sound that waits for the next segment; nil: none does
	changed      bool         // the tracks are not those of the stream any more: the next segment has new ones
}

// state is what playlists show.
type state struct {
	target     int           // seconds, EXT-X-TARGETDURATION
	partTarget time.Duration // EXT-X-PART-INF
	segments   []*segment    // whole ones, then the one being written
	inits      map[int][]byte
	dropped    uint64 // discontinuities of segments that are gone
	filled     bool   // with all that the stream had already
	ended      bool
	failed     error
}

// segment is a run of frames that begins with a key frame.
type segment struct {
	msn           uint64
	start         time.Time // the time of day at which its first frame came to the ingest
	parts         []*part
	duration      time.Duration
	bytes         int
	discontinuity bool
	init          int
	whole         bool
}

// part is a piece of a segment; MPEG-TS segments have one.
type part struct {
	number      uint64
	data        []byte
	duration    time.Duration
	independent bool
}

func newMuxer(s *hub.Stream, f Format, id string, opt Options) *Muxer {
	m := &Muxer{ID: id, Key: s.Key, Format: f, stream: s, opt: opt, done: make(chan struct{}), more: make(chan struct{})}
	m.state.inits = map[int][]byte{}
	if f == TS {
		m.pack = mux.NewTS()
	} else {
		m.pack = mux.NewFMP4()
	}
	return m
}

func (m *Muxer) touch() { m.used.Store(time.Now().UnixNano()) }

// run writes until the stream or the context ends.
func (m *Muxer) run(ctx context.Context) {
	defer close(m.done)
	r := m.stream.NewReplay()
	defer r.Close()
	err := m.prefill(r)
	m.change(func(st *state) { st.filled = true })
	for err == nil {
		var f *media.Frame
		if f, err = r.Next(ctx); err == nil {
			err = m.take(f)
		}
	}
	if errors.Is(err, io.EOF) {
		err = m.finish(ctx)
	}
	m.change(func(st *state) {
		st.ended = true
		if err != nil && ctx.Err() == nil {
			st.failed = err
		}
	})
	if err != nil && ctx.Err() == nil {
		m.opt.Log.Info("HLS of a stream stopped", "Stream", m.Key.String(), "Reason", err.Error())
	}
}

// prefill takes what the stream has already, so that the first playlist is there at once, and learns from it what
// frames and GOPs are like. No playlist is given before it is done: a player would begin at what is the newest so far,
// and stay seconds behind.
func (m *Muxer) prefill(r *hub.Reader) error {
	m.lead = m.leading()
	var frames []*media.Frame
	for {
		f, err := r.TryNext()
		if f == nil {
			if err != nil && !errors.Is(err, io.EOF) {
				return err
			}
			break
		}
		frames = append(frames, f)
	}
	m.plan(frames)
	for _, f := range frames {
		if err := m.take(f); err != nil {
			return err
		}
	}
	return nil
}

// leading is the kind whose frames decide where segments begin.
func (m *Muxer) leading() media.Kind {
	if m.stream.Track(media.Video) != nil {
		return media.Video
	}
	return media.Audio
}

// plan decides on the durations that a playlist promises for good.
func (m *Muxer) plan(frames []*media.Frame) {
	var steps []time.Duration
	var gop time.Duration
	var last, key *media.Frame
	for _, f := range frames {
		if f.Kind() != m.lead {
			continue
		}
		if f.Epoch == frames[0].Epoch {
			m.wall.observe(f)
		}
		if last != nil && f.Epoch == last.Epoch && f.DTS > last.DTS {
			steps = append(steps, f.DTS-last.DTS)
		}
		if f.Key {
			if key != nil && f.Epoch == key.Epoch {
				gop = max(gop, f.DTS-key.DTS)
			}
			key = f
		}
		last = f
	}
	m.usual = usualFrame(m.lead, m.stream.Facts().FPS)
	if len(steps) >= 5 {
		slices.Sort(steps)
		m.usual = steps[len(steps)/2]
	}
	if gop == 0 {
		gop = m.stream.Facts().GOP
	}
	if m.lead == media.Audio || gop <= 0 {
		gop = minSegment
	}
	frame := m.usual
	n := max(math.Round(float64(aimedPart)/float64(frame)), 1)
	length := time.Duration(math.Ceil(float64(minSegment-segmentSlop)/float64(gop))) * gop
	m.change(func(st *state) {
		st.partTarget = (time.Duration(n*float64(frame)*1.02) + time.Millisecond).Truncate(time.Millisecond)
		st.target = max(int(math.Round(length.Seconds()+0.3)), 2)
	})
}

// usualFrame is how long a frame lasts as long as nothing was measured; fps is 0 while it is unknown.
func usualFrame(k media.Kind, fps float64) time.Duration {
	switch {
	case k == media.Audio:
		return 21 * time.Millisecond
	case fps > 1:
		return time.Duration(float64(time.Second) / fps)
	}
	return time.Second / 30
}

// change changes the state and wakes those who wait for it.
func (m *Muxer) change(f func(*state)) {
	m.mu.Lock()
	defer m.mu.Unlock()
	f(&m.state)
	if m.opt.shown != nil {
		m.opt.shown(&m.state)
	}
	close(m.more)
	m.more = make(chan struct{})
}

// take writes a frame. The leading kind decides where parts and segments end.
func (m *Muxer) take(f *media.Frame) error {
	if f.Kind() != m.lead && !m.leads(f) {
		return m.follow(f)
	}
	if m.pending == nil && !f.Key {
		return nil
	}
	if m.pending != nil {
		d := f.DTS - m.pending.DTS
		if f.Epoch != m.epoch || f.Kind() != m.pending.Kind() {
			d = m.usual // the time without a publisher is no frame's
		}
		if err := m.write(m.pending, d); err != nil {
			return err
		}
	}
	if f.Kind() != m.lead {
		m.lead, m.changed = f.Kind(), true
		m.usual = usualFrame(m.lead, m.stream.Facts().FPS)
	}
	m.pending = f
	m.wall.observe(f)
	m.changed = m.changed || !media.SameTrack(f.Track, m.track(f.Kind()))
	switch {
	case m.seg == nil:
		m.epoch = f.Epoch
		return m.begin(f, false)
	case f.Epoch != m.epoch || m.changed && f.Key:
		m.epoch = f.Epoch
		return m.next(f, true)
	case f.Key && m.seg.duration+m.partDuration() >= minSegment-segmentSlop:
		return m.next(f, false)
	}
	return nil
}

// leads reports whether a frame of the other kind is the first of those that lead from now on: a picture where there
// was sound alone, or sound of a publisher that has no picture.
func (m *Muxer) leads(f *media.Frame) bool {
	if f.Kind() == media.Video {
		return f.Key
	}
	return f.Epoch != m.epoch && m.leading() == media.Audio
}

// follow takes a frame of the kind that does not lead. One whose track the initialisation segment does not describe
// waits for the next segment, as what came before the first picture does.
func (m *Muxer) follow(f *media.Frame) error {
	if m.seg == nil || f.Kind() == media.Video {
		return nil
	}
	if !media.SameTrack(f.Track, m.audio) {
		m.sound, m.changed = f.Track, true
		return nil
	}
	return m.pack.Add(f, 0)
}

// track is what the initialisation segment says of a kind.
func (m *Muxer) track(k media.Kind) *media.Track {
	if k == media.Video {
		return m.video
	}
	return m.audio
}

// open is the part being written: the last of the segment.
func (m *Muxer) open() *part { return m.seg.parts[len(m.seg.parts)-1] }

func (m *Muxer) partDuration() time.Duration { return m.open().duration }

// write puts a frame of the leading kind into the part, whose duration never exceeds the promised one by more than a
// frame that is longer than that itself.
func (m *Muxer) write(f *media.Frame, d time.Duration) error {
	d = max(d, time.Millisecond)
	limit := m.state.partTarget // only this goroutine writes it
	if m.Format == LowLatency && m.open().duration > 0 && m.open().duration+d > limit {
		if err := m.endPart(true); err != nil {
			return err
		}
	}
	p := m.open()
	if p.duration == 0 {
		p.independent = f.Key
	}
	if err := m.pack.Add(f, d); err != nil {
		return err
	}
	p.duration += d
	if m.seg.bytes+m.pack.Size() > maxSegment {
		return errTooLarge
	}
	if m.Format == LowLatency && p.duration+m.usual > limit {
		return m.endPart(true)
	}
	return nil
}

// begin opens a segment for a key frame. The playlist shows it, and the one before as whole, when its first part is
// there: in between a playlist would have neither an open segment nor a part to wait for, and players lose the count of
// discontinuities, or the last part of the segment before.
func (m *Muxer) begin(f *media.Frame, discontinuity bool) error {
	before := m.seg
	s := &segment{start: m.wall.begin(f, time.Now()), discontinuity: discontinuity}
	var init []byte
	if before == nil || discontinuity {
		m.video, m.audio = f.Track, m.stream.Track(media.Audio)
		if m.lead == media.Audio {
			m.video, m.audio = nil, f.Track
		}
		if m.sound != nil && m.lead == media.Video {
			m.audio = m.sound
		}
		m.sound, m.changed = nil, false
		var err error
		if init, err = m.pack.Init(m.video, m.audio); err != nil {
			return err
		}
	}
	if before != nil {
		s.msn, s.init = before.msn+1, before.init
		if init != nil {
			s.init++
		}
		if p := before.unmade(); p != nil {
			m.parts = p.number // it was hinted at, and is the first of this segment
		}
	}
	s.parts = []*part{m.newPart()}
	m.seg, m.before, m.init = s, before, init
	if before == nil || m.Format == TS {
		m.change(m.turn)
	}
	return nil
}

// turn shows the segment that was begun, and the one before as whole.
func (m *Muxer) turn(st *state) {
	if m.before != nil {
		m.close(st, m.before)
		m.before = nil
	}
	if m.init != nil {
		st.inits[m.seg.init], m.init = m.init, nil
	}
	st.segments = append(slices.Clone(st.segments), m.seg)
}

// unmade is the part at the end of a segment that has no bytes yet; nil when each has.
func (s *segment) unmade() *part {
	if n := len(s.parts); n > 0 && s.parts[n-1].data == nil {
		return s.parts[n-1]
	}
	return nil
}
