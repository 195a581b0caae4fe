// Package check holds the facts of a source against what a push domain asks of its sources.
package check

import (
	"fmt"
	"time"

	"github.com/millrace/millrace/dataplane/media"
	"github.com/millrace/millrace/internal/contract/plan"
)

// Reason names a property of a source that browsers cannot play, or that makes playing worse.
type Reason string

// The reasons of a Violation.
const (
	BFramesPresent Reason = "BFramesPresent"
	H265Source     Reason = "H265Source"
	GOPTooLong     Reason = "GOPTooLong"
)

// Violation is a property of a source that a policy does not let pass in silence.
type Violation struct {
	Reason  Reason
	Message string // what is wrong and what to do about it
	Reject  bool   // the source is to be closed; else it is only shown
}

// Policies say what is asked of a source.
type Policies struct {
	BFrames, H265 plan.Policy
	MaxGOP        time.Duration // 0: no limit
}

// Check compares the facts of a source with the policies.
func Check(f media.Facts, p Policies) []Violation {
	var out []Violation
	if f.VideoCodec == media.H265 && p.H265 != plan.Allow {
		out = append(out, Violation{H265Source,
			"the video is H.265, which browsers do not play; set the encoder to H.264, or give viewers a transcode template",
			p.H265 == plan.Reject})
	}
	if f.BFrames && p.BFrames != plan.Allow {
		out = append(out, Violation{BFramesPresent,
			"the video has B-frames, which make the picture jump in browsers; set B-frames to 0 in the encoder (ffmpeg: -bf " +
				"0; OBS: profile baseline or bframes=0)",
			p.BFrames == plan.Reject})
	}
	if gop := f.LikelyGOP(); media.GOPExceeds(gop, p.MaxGOP) {
		what := "key frames are"
		if gop > f.GOP {
			what = "the encoder is set to key frames"
		}
		out = append(out, Violation{GOPTooLong,
			fmt.Sprintf(
				"%s %.1f s apart, more than the %s allowed; set the encoder's key frame interval to %s or less",
				what,
				gop.Seconds(),
				p.MaxGOP,
				p.MaxGOP,
			), false})
	}
	return out
}
