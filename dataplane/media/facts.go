package media

import "time"

// Facts is what is known of a source after looking at its headers and frames. It is a value: a copy is a snapshot. Its
// JSON is that of announcements and of /state; see MarshalJSON.
type Facts struct {
	VideoCodec Codec  `json:"-"`                 // zero when the source has no video
	Profile    string `json:"profile,omitempty"` // "Constrained Baseline", "Main", "High", ...; empty when unknown
	Width      int    `json:"width,omitempty"`
	Height     int    `json:"height,omitempty"`
	// shape of a pixel; zero when nothing is said of it, which means square
	PixelAspect Aspect `json:"pixelAspect,omitzero"`
	// frames per second over the last seconds; 0 while unknown
	FPS float64 `json:"fps,omitempty"`
	// longest distance of two key frames seen in the last seconds; grows while no key frame comes
	GOP time.Duration `json:"-"`
	// what GOP will become by the encoder's word, while the second key frame is overdue; 0: nothing is said
	AnnouncedGOP time.Duration `json:"-"`
	// two key frames have been seen; before, the GOP is at least as long as is told
	GOPKnown bool `json:"gopKnown,omitempty"`
	// reordered frames were announced by the SPS and seen, or seen by slice type or composition time
	BFrames bool `json:"bFrames,omitempty"`
	// key frames are recovery points, or some are: IDR pictures are rare, or never come (Frame.Recovery)
	Refreshed bool `json:"refreshed,omitempty"`
	VideoKbps int  `json:"kbps,omitempty"`

	AudioCodec Codec `json:"-"` // zero when the source has no sound
	SampleRate int   `json:"sampleRateHz,omitempty"`
	Channels   int   `json:"channels,omitempty"`
	AudioKbps  int   `json:"audioKbps,omitempty"`
}

// LikelyGOP is what to tell people of the distance of key frames. Nothing is decided from it, for encoders do not
// always keep their word.
func (f Facts) LikelyGOP() time.Duration { return max(f.GOP, f.AnnouncedGOP) }

// gopTolerance is what time stamps in milliseconds and a late key frame may add to a GOP.
const gopTolerance = 100 * time.Millisecond

// GOPExceeds reports whether a GOP is longer than a limit; 0 is none.
func GOPExceeds(gop, limit time.Duration) bool { return limit > 0 && gop > limit+gopTolerance }
