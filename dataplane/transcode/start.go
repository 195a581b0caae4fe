package transcode

import (
	"math"
	"time"

	"github.com/millrace/millrace/dataplane/hub"
	"github.com/millrace/millrace/dataplane/media"
)

// never is before all time stamps.
const never = time.Duration(math.MinInt64)

// start is where a pass begins, on the source's timeline.
type start struct {
	picture   time.Duration // pictures before it are decoded but not encoded
	decode    time.Duration // frames of sound before it are left out
	sound     int64         // the first sample that is encoded, counted from -timeShift; 0: the first that comes
	published extent        // before the pass
}

// extent is how far a rendition has come.
type extent struct {
	dts   [3]time.Duration // by media.Kind, of the newest frame; never: there is none
	shown time.Duration    // the highest PTS of a picture, or never
	own   bool             // frames of the source do not follow the newest picture
}

// nothing is that of a rendition that has just begun.
func nothing() extent { return extent{[3]time.Duration{never, never, never}, never, false} }

// How far before the newest sound it is taken up. What was published stays, so that sound goes on where it ended; what
// is older than soundAgain is too late to be heard.
const (
	soundBack   = 200 * time.Millisecond // of a rendition that begins
	soundAgain  = time.Second            // of one that goes on
	soundBefore = 300 * time.Millisecond // decoded for nobody: AAC needs the frame before, which at 8 kHz takes 128 ms
)

// findStart decides it from what is at hand of the source, in order of decoding. Edge is the source's live edge.
func findStart(w Work, backlog []*media.Frame, edge time.Duration, published extent) start {
	s := start{decode: never, published: published}
	if w.Video == Encode { // what was shown is not shown again: it would be the key frame that is left out
		s.picture = max(edge, published.shown+time.Millisecond)
	}
	newest := edge
	for _, f := range backlog {
		if f.Kind() == media.Audio {
			newest = f.PTS
		}
	}
	heard, late := published.dts[media.Audio], newest-soundAgain
	switch {
	case heard == never && w.Video == Encode:
		s.decode = s.picture - soundBack
		return s
	case heard == never && published.shown != never:
		s.decode = newest - soundBack
		return s
	case w.Audio == Copy && w.Video == Encode:
		s.decode = late
		return s
	case heard == never, w.Audio != Encode: // all there is
		return s
	}
	s.decode = max(heard, late) - soundBefore
	have := newest
	for _, f := range backlog {
		if f.Kind() == media.Audio && f.PTS >= s.decode {
			have = f.PTS
			break
		}
	}
	// The encoder begins with the frame that was published last, which is not published again: so the next one does not
	// begin in silence.
	frame, before := w.frameOfSound()
	s.sound = w.samples(heard) + before
	if missing := w.samples(max(late, have)) - s.sound; missing > 0 {
		s.sound += (missing + frame - 1) / frame * frame
	}
	return s
}

// samples counts those of the result from -timeShift on.
func (w Work) samples(at time.Duration) int64 { return ticks(at+timeShift, int64(w.SampleRate)) }

// frameOfSound is the length of an encoded frame, and what ffmpeg's encoder puts before the first sample, by which the
// first frame's time is earlier; both in samples. libopus has 6.5 ms of look-ahead (RFC 7845, 4.2; opus_encoder.c), the
// AAC encoder a frame.
func (w Work) frameOfSound() (frame, before int64) {
	if w.AudioCodec == media.AAC {
		return 1024, 1024
	}
	return 960, 312
}

// reader begins to read the source: at its newest key frame, or where the rendition has come to.
func (p *pass) reader(published extent) *hub.Reader {
	from := never
	for kind, task := range map[media.Kind]Task{media.Video: p.work.Video, media.Audio: p.work.Audio} {
		if dts := published.dts[kind]; task != None && dts != never && (from == never || dts < from) {
			from = dts
		}
	}
	if from == never {
		return p.session.source.NewReader()
	}
	return p.session.source.NewReaderAt(from - soundBefore)
}

// continues reports whether a frame that is passed through comes after what was published, and puts it there in the
// order of decoding. A picture that was encoded before goes on with a key frame.
func (p *pass) continues(f *media.Frame) bool {
	published := &p.from.published
	kind := f.Kind()
	switch {
	case kind == media.Audio && f.DTS < p.from.decode:
		return false
	case kind != media.Video || !published.own:
		return f.DTS > published.dts[kind]
	case f.PTS <= published.shown:
		return false
	}
	p.joined = p.joined || f.Key
	f.DTS = max(f.DTS, published.dts[kind])
	return p.joined
}

// current leaves out what a rendition has no use for when a pass begins: frames of what the source was before, and
// pictures before the last key frame where they are encoded.
func (p *pass) current(backlog []*media.Frame) []*media.Frame {
	out := make([]*media.Frame, 0, len(backlog))
	key := 0
	for _, f := range backlog {
		if p.same(f) != nil {
			continue
		}
		if f.Kind() == media.Video && f.Key {
			key = len(out)
		}
		out = append(out, f)
	}
	if p.work.Video != Encode {
		return out
	}
	kept := out[:0]
	for i, f := range out {
		if i >= key || f.Kind() == media.Audio {
			kept = append(kept, f)
		}
	}
	return kept
}
