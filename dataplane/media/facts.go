package media

import "time"

// Facts is what is known of a source after looking at its headers and frames. It is a value: a copy is a snapshot.
type Facts struct {
	// Video, zero Codec when the source has none.
	VideoCodec    Codec
	Profile       string // "Constrained Baseline", "Main", "High", ...; empty when unknown
	Width, Height int
	FPS           float64 // frames per second over the last seconds; 0 while unknown
	// longest distance of two key frames seen in the last seconds; grows while no key frame comes
	GOP time.Duration
	// what GOP will become by the encoder's word, while the second key frame is overdue; 0: nothing is said
	AnnouncedGOP time.Duration
	GOPKnown     bool // two key frames have been seen; before, the GOP is at least as long as is told
	// reordered frames were announced by the SPS and seen, or seen by slice type or composition time
	BFrames   bool
	VideoKbps int

	// Audio, zero Codec when the source has none.
	AudioCodec Codec
	SampleRate int
	Channels   int
	AudioKbps  int
}

// LikelyGOP is what to tell people of the distance of key frames. Nothing is decided from it, for encoders do not
// always keep their word.
func (f *Facts) LikelyGOP() time.Duration { return max(f.GOP, f.AnnouncedGOP) }

// gopTolerance is what time stamps in milliseconds and a late key frame may add to a GOP.
const gopTolerance = 100 * time.Millisecond

// GOPExceeds reports whether a GOP is longer than a limit; 0 is none.
func GOPExceeds(gop, limit time.Duration) bool { return limit > 0 && gop > limit+gopTolerance }
