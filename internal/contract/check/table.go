package check

import (
	"fmt"

	"github.com/millrace/millrace/dataplane/media"
	"github.com/millrace/millrace/internal/contract/plan"
)

// The reasons of the checks.
const (
	H265Source     Reason = "H265Source"
	BFramesPresent Reason = "BFramesPresent"
	GOPTooLong     Reason = "GOPTooLong"
	NoIDR          Reason = "NoIDR"
	OddPixels      Reason = "OddPixels"
	AACSound       Reason = "AACSound"
)

// Row is one check. docs/howto/add-a-source-check.md says how to add one.
type Row struct {
	Reason   Reason // of the refusal, the warning and the condition SourceCompliant
	Property string // what the source has, in a few words
	Field    string // of PushDomain.spec that decides; empty when none does
	Remedy   string // what to do; a limit is written as its field in backquotes
	Informs  bool   // it is told beside a source that passes, and is no fault of it

	policy func(Policies) plan.Policy             // nil: the check warns
	limit  func(Policies) string                  // what stands for Field in Remedy; nil: nothing does
	wrong  func(f media.Facts, p Policies) string // what is wrong; empty when nothing is
}

// CanReject reports whether the policy of the push domain can have such a source closed.
func (r *Row) CanReject() bool { return r.policy != nil }

// Table returns the checks, the gravest first.
func Table() []Row {
	return []Row{
		{
			Reason: H265Source, Property: "video in H.265", Field: "source.h265",
			Remedy: "set the encoder to H.264, or give viewers a transcode template",
			policy: func(p Policies) plan.Policy { return p.H265 },
			wrong: func(f media.Facts, _ Policies) string {
				return when(f.VideoCodec == media.H265, "the video is H.265, which browsers do not play")
			},
		},
		{
			Reason: BFramesPresent, Property: "B-frames", Field: "source.bFrames",
			Remedy: "set B-frames to 0 in the encoder (ffmpeg: -bf 0; OBS: profile baseline or bframes=0), or give viewers a " +
				"transcode template",
			policy: func(p Policies) plan.Policy { return p.BFrames },
			wrong: func(f media.Facts, _ Policies) string {
				return when(f.BFrames, "the video has B-frames, which make the picture jump in browsers")
			},
		},
		{
			Reason: GOPTooLong, Property: "key frames far apart", Field: "source.maxGOPMilliseconds",
			Remedy: "set the encoder's key frame interval to `source.maxGOPMilliseconds` or less",
			limit:  func(p Policies) string { return p.MaxGOP.String() },
			wrong:  longGOP,
		},
		{
			Reason: NoIDR, Property: "no IDR pictures (intra refresh, open GOP)",
			Remedy: "turn intra refresh off and closed GOPs on in the encoder (x264: intra-refresh=0:open-gop=0), or give " +
				"viewers a transcode template",
			wrong: func(f media.Facts, _ Policies) string {
				return when(f.Refreshed, "the video has recovery points in place of IDR pictures, and browsers wait for "+
					"these by RTS")
			},
		},
		{
			Reason: OddPixels, Property: "pixels that are not square",
			Remedy: "set the encoder to square pixels (ffmpeg: -vf scale=iw*sar:ih,setsar=1), or give viewers a transcode " +
				"template",
			wrong: func(f media.Facts, _ Policies) string {
				return when(!f.PixelAspect.Square(), "pixels have the shape "+f.PixelAspect.String()+", and browsers show them "+
					"square by RTS")
			},
		},
		{
			Reason: AACSound, Property: "sound in AAC", Informs: true,
			Remedy: "publish Opus, or give viewers a transcode template",
			wrong: func(f media.Facts, _ Policies) string {
				return when(f.AudioCodec == media.AAC, "the sound is AAC, which browsers do not play by RTS")
			},
		},
	}
}

func when(is bool, text string) string {
	if is {
		return text
	}
	return ""
}

func longGOP(f media.Facts, p Policies) string {
	gop := f.LikelyGOP()
	if !media.GOPExceeds(gop, p.MaxGOP) {
		return ""
	}
	what := "key frames are"
	if gop > f.GOP {
		what = "the encoder is set to key frames"
	}
	return fmt.Sprintf("%s %.1f s apart, more than the %s allowed", what, gop.Seconds(), p.MaxGOP)
}
