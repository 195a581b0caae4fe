package transcode

import (
	"cmp"
	"fmt"
	"math"
	"time"

	"github.com/bluenviron/mediacommon/v2/pkg/codecs/h264"

	"github.com/millrace/millrace/dataplane/media"
	"github.com/millrace/millrace/internal/contract/plan"
)

// Task is what happens to a track.
type Task string

// The tasks.
const (
	None   Task = "None"   // the rendition has no such track
	Copy   Task = "Copy"   // passed through untouched
	Encode Task = "Encode" // decoded and encoded anew
)

// Work is what has to be done to make a rendition of a source.
type Work struct {
	Video, Audio Task

	// Video, for Encode.
	Width, Height int
	Scale         bool
	Square        bool    // pixels become square, which they are not
	MaxFPS        float64 // pictures beyond it are left out; 0: all are kept
	FPS           float64 // of the result, as far as known
	Kbps          int
	GOP           time.Duration
	BFrames       bool // the result may have them
	Reordered     bool // the source has them
	Deinterlace   bool

	// Audio, for Encode.
	AudioCodec media.Codec
	AudioKbps  int
	Channels   int
	SampleRate int
}

// processed reports whether anything is left for ffmpeg.
func (w Work) processed() bool { return w.Video == Encode || w.Audio == Encode }

// String tells the work in a few words for people.
func (w Work) String() string { return fmt.Sprintf("video %s, audio %s", w.Video, w.Audio) }

const (
	gopTolerance = 100 * time.Millisecond // of time stamps and a late key frame
	usualGOP     = 2 * time.Second
	shortestGOP  = 200 * time.Millisecond
	usualFPS     = 25
	mostPixels   = 4096 * 2304 // of a source that is encoded anew
)

// decide finds the least work that makes a rendition. Facts are what is known of the source now. An error is a refusal
// for viewers.
func decide(t *plan.Template, video, audio *media.Track, f media.Facts) (Work, error) {
	w := Work{Video: None, Audio: None}
	if video != nil {
		w.Video = Copy
		if t.Type != plan.TemplateAudio {
			if !copies(t, video, f) {
				w.Video = Encode
				w.picture(t, video, f)
			}
			if w.Video == Encode {
				if err := fits(video); err != nil {
					return w, err
				}
			}
		}
	}
	if audio != nil {
		w.sound(t, audio)
	}
	return w, nil
}

// fits judges every size that the source can switch to: what one sequence parameter set says does not bound the others.
func fits(video *media.Track) error {
	if video.Width*video.Height > mostPixels {
		return fmt.Errorf("the source has %dx%d pixels; sources up to 4096x2304 are transcoded", video.Width, video.Height)
	}
	if video.Largest > mostPixels {
		return fmt.Errorf("the source has several sequence parameter sets, and one is of a picture larger than 4096x2304, "+
			"or cannot be read; set the encoder to %dx%d alone", video.Width, video.Height)
	}
	return nil
}

// copies reports whether the picture of the source is what the template asks for.
func copies(t *plan.Template, video *media.Track, f media.Facts) bool {
	if video.Codec != media.H264 || !video.ForBrowsers() {
		return false
	}
	if f.Refreshed { // browsers wait for IDR pictures
		return false
	}
	// A GOP that is not known yet is at least as long as is told.
	if t.DropB && f.BFrames || t.GOP > 0 && f.GOP > t.GOP+gopTolerance {
		return false
	}
	if t.FPS > 0 && f.FPS > float64(t.FPS)*1.03 || t.VideoKbps > 0 && f.VideoKbps > t.VideoKbps*11/10 {
		return false
	}
	if t.Type == plan.TemplateH264 {
		w, h := fit(video.Width, video.Height, t.Width, t.Height)
		// Rates are a promise of this type: what is not known yet does not keep it.
		return w == video.Width && h == video.Height && (t.VideoKbps == 0 || f.VideoKbps > 0)
	}
	return true
}

func (w *Work) picture(t *plan.Template, video *media.Track, f media.Facts) {
	width, height := video.Shown()
	if width*height > mostPixels { // made lower then, not wider
		width, height = video.Width, video.Height*video.Width/width
	}
	w.Width, w.Height = even(width), even(height)
	if t.Type == plan.TemplateH264 {
		w.Width, w.Height = fit(width, height, t.Width, t.Height)
	}
	w.Square = !video.Aspect.Square()
	w.Scale = w.Width != video.Width || w.Height != video.Height
	w.FPS = cmp.Or(f.FPS, usualFPS)
	if t.FPS > 0 && (f.FPS == 0 || f.FPS > float64(t.FPS)*1.03) {
		w.MaxFPS = float64(t.FPS)
		w.FPS = min(w.FPS, w.MaxFPS)
	}
	w.GOP = cmp.Or(t.GOP, usualGOP)
	if f.GOPKnown { // what is told before grows: it would be taken for a short GOP
		w.GOP = min(w.GOP, max(f.GOP, shortestGOP))
	}
	if w.Kbps = t.VideoKbps; w.Kbps == 0 {
		w.Kbps = usualKbps(w.Width, w.Height, w.FPS)
	}
	w.BFrames = !t.DropB
	w.Reordered = f.BFrames || video.Codec == media.H265
	if video.Codec == media.H264 {
		var s h264.SPS
		w.Deinterlace = s.Unmarshal(video.SPS) == nil && !s.FrameMbsOnlyFlag
	}
}

// usualKbps is a bit rate that looks well at live speed: 2.2 Mbit/s for 1280x720 at 30.
func usualKbps(width, height int, fps float64) int {
	return min(max(int(float64(width*height)*fps*0.08/1000), 200), 12_000)
}

func (w *Work) sound(t *plan.Template, audio *media.Track) {
	w.Audio = Encode
	w.AudioKbps, w.Channels, w.SampleRate = t.AudioKbps, t.Channels, t.SampleRate
	switch t.AudioCodec {
	case "Copy":
		w.Audio = Copy
	case "AAC":
		w.AudioCodec = media.AAC
		w.AudioKbps, w.SampleRate = cmp.Or(w.AudioKbps, 128), cmp.Or(w.SampleRate, 44100)
	default:
		w.AudioCodec, w.SampleRate = media.Opus, 48000
		w.AudioKbps = cmp.Or(w.AudioKbps, 96)
		if audio.Codec == media.Opus {
			w.Audio = Copy
		}
	}
	w.Channels = cmp.Or(w.Channels, 2)
}

// fit makes a size that is not larger than the box turned to the picture's orientation, keeps the aspect ratio and is
// even; the picture's own when it fits.
func fit(width, height, boxW, boxH int) (int, int) {
	if boxW <= 0 || boxH <= 0 {
		return even(width), even(height)
	}
	if (width < height) != (boxW < boxH) {
		boxW, boxH = boxH, boxW
	}
	if width <= boxW && height <= boxH {
		return even(width), even(height)
	}
	scale := math.Min(float64(boxW)/float64(width), float64(boxH)/float64(height))
	return even(int(math.Round(float64(width) * scale))), even(int(math.Round(float64(height) * scale)))
}

func even(n int) int { return max(n&^1, 2) }
