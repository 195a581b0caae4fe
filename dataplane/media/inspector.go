package media

import (
	"cmp"
	"time"
)

// Inspector measures a source frame by frame. It allocates nothing per frame and is not safe for concurrent use.
type Inspector struct {
	videoTrack, audioTrack *Track
	profile                string

	video, audio window
	keys         keyDistances
	keyInterval  int // what the encoder says, in frames; 0: nothing
	bFrames      bool
	refreshed    bool
	lastIDR      bool // the last key frame was an IDR picture
	lastPTS      time.Duration
	havePTS      bool
	told         Facts // by who saw more of the source
}

// NewInspector knows nothing yet.
func NewInspector() *Inspector { return &Inspector{} }

// Track tells the inspector of a track before its first frame, so that the facts name it.
func (in *Inspector) Track(t *Track) {
	switch t.Codec.Kind() {
	case Video:
		if in.videoTrack == t {
			return
		}
		in.videoTrack = t
		in.bFrames, in.havePTS, in.keyInterval = false, false, 0
		in.refreshed, in.lastIDR = false, false
		in.profile = ""
		if seq, err := parseSPS(t.Codec, t.SPS); err == nil {
			in.profile = seq.profile
		}
	case Audio:
		in.audioTrack = t
	}
}

// Told takes what somebody says of the video who has seen more of it. Rates stand until they were measured over a
// second here, the rest until a whole GOP has been seen; a GOP that was not known there either is left out, and so is
// all that is said of another codec or size.
func (in *Inspector) Told(f Facts) { in.told = f }

// hearsay adds what was told to what was found.
func (in *Inspector) hearsay(f *Facts) {
	told := &in.told
	if told.VideoCodec != f.VideoCodec || told.Width != f.Width || told.Height != f.Height {
		return
	}
	if in.video.span() < time.Second {
		f.FPS, f.VideoKbps = cmp.Or(told.FPS, f.FPS), cmp.Or(told.VideoKbps, f.VideoKbps)
	}
	if f.GOPKnown {
		return
	}
	f.BFrames = f.BFrames || told.BFrames
	f.Refreshed = f.Refreshed || told.Refreshed
	if told.GOPKnown {
		f.GOP, f.AnnouncedGOP, f.GOPKnown = max(f.GOP, told.GOP), 0, true
	}
}

// Frame looks at a frame. Frames come in decoding order; DTS does not decrease within a kind.
func (in *Inspector) Frame(f *Frame) {
	in.Track(f.Track)
	if f.Kind() == Audio {
		in.audio.add(f.DTS, f.Size)
		return
	}
	in.video.add(f.DTS, f.Size)
	in.keys.add(f.DTS, f.Key)
	if f.Key && in.keys.seen == 1 {
		in.keyInterval = keyInterval(f)
	}
	if f.Key { // two IDR pictures in a row say that these come in time
		in.refreshed = f.Recovery || in.refreshed && !in.lastIDR
		in.lastIDR = !f.Recovery
	}
	if !in.bFrames {
		in.bFrames = in.havePTS && f.PTS < in.lastPTS || f.Track.Codec == H264 && hasBSlice(f)
	}
	in.lastPTS, in.havePTS = f.PTS, true
}

func hasBSlice(f *Frame) bool {
	for _, unit := range f.Units {
		if typ := nalType(H264, unit); (typ == h264Slice || typ == h264PartitionA) && sliceType(unit) == h264SliceTypeB {
			return true
		}
	}
	return false
}

// BFrames reports whether the track in force has shown B-frames: B slices in H.264, or pictures that are shown in
// another order than they are decoded. A constant offset between DTS and PTS is no B-frame.
func (in *Inspector) BFrames() bool { return in.bFrames }

// LikelyGOP is that of the facts, without the rest of them.
func (in *Inspector) LikelyGOP() time.Duration { return max(in.keys.longest(), in.announced()) }

// Facts is what was found so far.
func (in *Inspector) Facts() Facts {
	var f Facts
	if t := in.videoTrack; t != nil {
		f.VideoCodec, f.Profile, f.Width, f.Height = t.Codec, in.profile, t.Width, t.Height
		f.FPS = in.video.perSecond()
		f.VideoKbps = in.video.kbps()
		f.GOP, f.AnnouncedGOP, f.GOPKnown = in.keys.longest(), in.announced(), in.keys.seen > 1
		f.BFrames, f.Refreshed, f.PixelAspect = in.bFrames, in.refreshed, t.Aspect
		in.hearsay(&f)
	}
	if t := in.audioTrack; t != nil {
		f.AudioCodec, f.SampleRate, f.Channels = t.Codec, t.SampleRate, t.Channels
		f.AudioKbps = in.audio.kbps()
	}
	return f
}

const (
	windowSpan = 4 * time.Second        // over which rates are measured
	windowMin  = 400 * time.Millisecond // below which a rate is not told
	gopSpan    = 30 * time.Second       // over which the longest GOP is looked for
)

// window keeps the times and the summed size of the frames of the last seconds.
type window struct {
	ring  [512]sample // 4 s at 120 frames per second
	first int
	count int
	bytes int64 // all bytes ever
}

type sample struct {
	dts   time.Duration
	bytes int64 // before the frame
}

func (w *window) at(i int) *sample { return &w.ring[(w.first+i)%len(w.ring)] }

func (w *window) add(dts time.Duration, size int) {
	for w.count == len(w.ring) || w.count > 1 && dts-w.at(0).dts > windowSpan {
		w.first = (w.first + 1) % len(w.ring)
		w.count--
	}
	w.count++
	*w.at(w.count - 1) = sample{dts, w.bytes}
	w.bytes += int64(size)
}

// span is the time from the first to the last frame in the window; 0 when it is too short to tell a rate.
func (w *window) span() time.Duration {
	if w.count < 2 {
		return 0
	}
	if d := w.at(w.count-1).dts - w.at(0).dts; d >= windowMin {
		return d
	}
	return 0
}

func (w *window) perSecond() float64 {
	d := w.span()
	if d == 0 {
		return 0
	}
	return float64(w.count-1) / d.Seconds()
}

func (w *window) kbps() int {
	d := w.span()
	if d == 0 {
		return 0
	}
	return int(float64(w.at(w.count-1).bytes-w.at(0).bytes) * 8 / d.Seconds() / 1000)
}

// keyDistances keeps the distances of the key frames of the last seconds.
type keyDistances struct {
	started  bool
	lastKey  time.Duration // or the first frame, before there was a key frame
	now      time.Duration
	ring     [32]keyDistance
	recorded int
	seen     int // key frames, up to 2
}

type keyDistance struct{ at, distance time.Duration }

func (k *keyDistances) add(dts time.Duration, key bool) {
	k.now = dts
	if key {
		k.seen = min(k.seen+1, 2)
	}
	if !k.started {
		k.started, k.lastKey = true, dts
		return
	}
	if key {
		k.ring[k.recorded%len(k.ring)] = keyDistance{dts, dts - k.lastKey}
		k.recorded++
		k.lastKey = dts
	}
}

func (k *keyDistances) longest() time.Duration {
	longest := k.now - k.lastKey // grows until the next key frame comes
	for i := range min(k.recorded, len(k.ring)) {
		if d := k.ring[i]; k.now-d.at <= gopSpan {
			longest = max(longest, d.distance)
		}
	}
	return longest
}
