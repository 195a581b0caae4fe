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
	parts   uint64   // all that were begun
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
	m.lead = media.Audio
	if m.stream.Track(media.Video) != nil {
		m.lead = media.Video
	}
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
	m.usual = time.Second / 30
	if m.lead == media.Audio {
		m.usual = 21 * time.Millisecond
	} else if fps := m.stream.Facts().FPS; fps > 1 {
		m.usual = time.Duration(float64(time.Second) / fps)
	}
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

// change changes the state and wakes those who wait for it.
func (m *Muxer) change(f func(*state)) {
	m.mu.Lock()
	defer m.mu.Unlock()
	f(&m.state)
	close(m.more)
	m.more = make(chan struct{})
}

// take writes a frame. The leading kind decides where parts and segments end.
func (m *Muxer) take(f *media.Frame) error {
	if f.Kind() != m.lead {
		if m.seg == nil || f.Kind() == media.Video {
			return nil // sound from before the first picture
		}
		return m.pack.Add(f, 0)
	}
	if m.pending == nil && !f.Key {
		return nil
	}
	if m.pending != nil {
		d := f.DTS - m.pending.DTS
		if f.Epoch != m.epoch {
			d = m.usual // the time without a publisher is no frame's
		}
		if err := m.write(m.pending, d); err != nil {
			return err
		}
	}
	old := m.pending
	m.pending = f
	m.wall.observe(f)
	switch {
	case m.seg == nil:
		m.epoch = f.Epoch
		return m.begin(f, false)
	case f.Epoch != m.epoch || f.Track != old.Track && f.Key && !sameParameters(f.Track, old.Track):
		m.epoch = f.Epoch
		return m.next(f, true)
	case f.Key && m.seg.duration+m.partDuration() >= minSegment-segmentSlop:
		return m.next(f, false)
	}
	return nil
}

func sameParameters(a, b *media.Track) bool {
	return a.Codec == b.Codec && slices.Equal(a.SPS, b.SPS) && slices.Equal(a.PPS, b.PPS) && slices.Equal(a.VPS, b.VPS)
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

// begin opens a segment for a key frame.
func (m *Muxer) begin(f *media.Frame, discontinuity bool) error {
	video, audio := f.Track, m.stream.Track(media.Audio)
	if m.lead == media.Audio {
		video, audio = nil, f.Track
	}
	s := &segment{start: m.wall.begin(f, time.Now()), discontinuity: discontinuity}
	var init []byte
	if m.seg == nil || discontinuity {
		var err error
		if init, err = m.pack.Init(video, audio); err != nil {
			return err
		}
	}
	if m.seg != nil {
		s.msn, s.init = m.seg.msn+1, m.seg.init
		if init != nil {
			s.init++
		}
	}
	s.parts = []*part{m.newPart()}
	m.seg = s
	m.change(func(st *state) {
		if init != nil {
			st.inits[s.init] = init
		}
		st.segments = append(st.segments, s)
	})
	return nil
}
