package transcode

import (
	"math"
	"time"

	"github.com/millrace/millrace/dataplane/media"
)

// never is before all time stamps.
const never = time.Duration(math.MinInt64)

// start is where a pass begins, on the source's timeline.
type start struct {
	picture   time.Duration    // pictures before it are decoded but not encoded
	decode    time.Duration    // frames of sound before it are not decoded
	sound     int64            // the first sample that is encoded, counted from -timeShift; 0: the first that comes
	published [3]time.Duration // by media.Kind: what comes of the rendition until then has been published before
}

// How far before the newest sound it is taken up. What was published stays, so that sound goes on where it ended; what is older than soundAgain is
// too late to be heard.
const (
	soundBack   = 200 * time.Millisecond // of a rendition that begins
	soundAgain  = time.Second            // of one that goes on
	soundBefore = 300 * time.Millisecond // decoded for nobody: AAC needs the frame before, which at 8 kHz takes 128 ms
)

// findStart decides it from what is at hand of the source, in order of decoding. Edge is the source's live edge, published what the rendition has already,
// never where it has nothing.
func findStart(w Work, backlog []*media.Frame, edge time.Duration, published [3]time.Duration) start {
	s := start{decode: never, published: published}
	if w.Video == Encode { // what was shown is not shown again: it would be the key frame that is left out
		s.picture = max(edge, published[media.Video]+time.Millisecond)
		s.decode = s.picture - soundBack
	}
	heard := published[media.Audio]
	if w.Audio != Encode || heard == never {
		return s
	}
	newest := edge
	for _, f := range backlog {
		if f.Kind() == media.Audio {
			newest = f.PTS
		}
	}
	late := newest - soundAgain
	s.decode = max(heard, late) - soundBefore
	have := newest
	for _, f := range backlog {
		if f.Kind() == media.Audio && f.PTS >= s.decode {
			have = f.PTS
			break
		}
	}
	// The encoder begins with the frame that was published last, which is not published again: so the next one does not begin in silence.
	frame, before := w.frameOfSound()
	s.sound = w.samples(heard) + before
	if missing := w.samples(max(late, have)) - s.sound; missing > 0 {
		s.sound += (missing + frame - 1) / frame * frame
	}
	return s
}

// samples counts those of the result from -timeShift on.
func (w Work) samples(at time.Duration) int64 { return ticks(at+timeShift, int64(w.SampleRate)) }

// frameOfSound is the length of an encoded frame, and what ffmpeg's encoder puts before the first sample, by which the first frame's time is earlier;
// both in samples. libopus has 6.5 ms of look-ahead (RFC 7845, 4.2; opus_encoder.c), the AAC encoder a frame.
func (w Work) frameOfSound() (frame, before int64) {
	if w.AudioCodec == media.AAC {
		return 1024, 1024
	}
	return 960, 312
}

// current leaves out what a rendition has no use for when a pass begins: frames of what the source was before, and pictures before the last key frame
// where they are encoded.
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
