package transcode

import (
	"time"

	"github.com/millrace/millrace/dataplane/media"
)

// start is where a pass begins, on the source's timeline.
type start struct {
	picture time.Duration // pictures before it are decoded but not encoded
	heard   time.Duration // frames of sound before it are not decoded
	sound   int64         // the first sample that is encoded, counted from -timeShift; 0: the first that comes
}

// How far sound is taken up again before the live edge. What was shown before stays shown, so that sound goes on where it ended; what is older than
// that is too late to be heard.
const (
	soundBack   = 200 * time.Millisecond // of a rendition that begins
	soundAgain  = time.Second            // of one that goes on
	soundBefore = 50 * time.Millisecond  // decoded for nobody: AAC needs the frame before
)

// findStart decides it from what is at hand of the source, in order of decoding, the newest of which is the live edge. A pass whose picture is passed
// through begins with all of it.
func findStart(w Work, backlog []*media.Frame, edge, shown, heard time.Duration) start {
	var s start
	if w.Video == Encode {
		s.picture = edge
		if shown > 0 { // it is not shown again: it would be the key frame that is left out
			s.picture = max(edge, shown+time.Millisecond)
		}
		s.heard = s.picture - soundBack
	}
	if w.Audio != Encode || heard == 0 {
		return s
	}
	s.heard = max(heard-soundBefore, edge-soundAgain)
	have := edge
	for _, f := range backlog {
		if f.Kind() == media.Audio && f.PTS >= s.heard {
			have = f.PTS
			break
		}
	}
	frame, before := w.frameOfSound()
	next := ticks(heard+timeShift, int64(w.SampleRate)) + frame + before
	if missing := ticks(have+timeShift, int64(w.SampleRate)) - next; missing > 0 {
		next += (missing + frame - 1) / frame * frame
	}
	s.sound = next
	return s
}

// frameOfSound is the length of an encoded frame, and what ffmpeg's encoder puts before the first sample, by which the first frame's time is earlier;
// both in samples. libopus has 6.5 ms of look-ahead (RFC 7845, 4.2; opus_encoder.c), the AAC encoder a frame.
func (w Work) frameOfSound() (frame, before int64) {
	if w.AudioCodec == media.AAC {
		return 1024, 1024
	}
	return 960, 312
}
