// Package media holds what every role of the data plane understands: codecs, tracks, frames and the facts of a source.
// It imports nothing of Kubernetes and nothing of any transport.
package media

import (
	"fmt"
	"time"
)

// Kind tells video from audio.
type Kind uint8

// The kinds of media a frame can carry.
const (
	Video Kind = iota + 1
	Audio
)

// String returns "video" or "audio".
func (k Kind) String() string {
	switch k {
	case Video:
		return "video"
	case Audio:
		return "audio"
	}
	return "unknown"
}

// Codec names a media encoding that Millrace carries.
type Codec uint8

// The codecs that are told apart; everything else is refused at ingest.
const (
	H264 Codec = iota + 1
	H265
	AAC
	Opus
)

// String returns the codec's name as it is shown to people ("H264", "H265", "AAC", "Opus").
func (c Codec) String() string {
	switch c {
	case H264:
		return "H264"
	case H265:
		return "H265"
	case AAC:
		return "AAC"
	case Opus:
		return "Opus"
	}
	return "unknown"
}

// MarshalText returns the codec's name; nothing for the zero Codec.
func (c Codec) MarshalText() ([]byte, error) {
	if c == 0 {
		return nil, nil
	}
	return []byte(c.String()), nil
}

// UnmarshalText reads what MarshalText writes. For the name of another codec it returns an error, and the Codec is
// zero.
func (c *Codec) UnmarshalText(name []byte) error {
	for one := range Opus + 1 {
		if text, _ := one.MarshalText(); string(text) == string(name) { // never fails
			*c = one
			return nil
		}
	}
	*c = 0
	return fmt.Errorf("codec %q is not known: H264, H265, AAC and Opus are", name)
}

// Kind reports whether the codec carries video or audio; 0 for an unknown codec.
func (c Codec) Kind() Kind {
	switch c {
	case H264, H265:
		return Video
	case AAC, Opus:
		return Audio
	}
	return 0
}

// Track describes one elementary stream. A Track is immutable: a change of parameter sets makes a new Track.
type Track struct {
	Codec Codec

	// Video: the parameter sets in force, without start codes (VPS for H.265 only), and the size in pixels.
	VPS, SPS, PPS []byte
	Width, Height int
	// Aspect is the shape of a pixel; zero when nothing is said of it, which means square.
	Aspect Aspect
	// Largest is the number of pixels of the largest picture that any sequence parameter set in force describes: a source
	// can switch to each of them at every key frame. It is math.MaxInt when one cannot be read, and 0 when nobody has
	// looked at more than one.
	Largest int

	// Audio: samples per second (Opus is always 48000), channels, and the AudioSpecificConfig of AAC
	// (ISO/IEC 14496-3, 1.6.2.1).
	SampleRate int
	Channels   int
	Config     []byte
}

// Frame is one access unit of video or one frame of audio. It is immutable once it was written to a stream and is
// shared by all readers.
type Frame struct {
	Track *Track

	// Seq is the frame's position in its stream, counted over all publishers. The hub sets it.
	Seq uint64
	// Epoch is the publish epoch that the frame belongs to. The hub sets it.
	Epoch uint64

	// Key is true for a random access point: an IDR access unit (with its parameter sets in front), a recovery point where
	// IDR access units are rare (see Joins), or any frame of a stream without video.
	Key bool
	// Recovery is true for an access unit of H.264 that decoders can begin at though it is no IDR one: pictures are right
	// after some more (intra refresh), or but for those that are shown before it (open GOP). Browsers do not begin there
	// by RTP. Its parameter sets are in front.
	Recovery bool
	// Disposable is true when no other frame refers to this one (H.264 nal_ref_idc 0 in all slices; ITU-T H.264, 7.4.1).
	Disposable bool

	// DTS and PTS lie on the stream's own timeline, which goes on over a change of publisher. DTS never decreases within a
	// kind.
	DTS, PTS time.Duration
	// Ingest is the wall-clock time at which the frame reached the ingest.
	Ingest time.Time

	// Units are the NAL units of the access unit without start codes and without access unit delimiters and filler data
	// (video), or exactly one raw audio frame.
	Units [][]byte
	// Size is the number of bytes in Units.
	Size int
}

// Kind reports whether the frame is video or audio.
func (f *Frame) Kind() Kind { return f.Track.Codec.Kind() }
