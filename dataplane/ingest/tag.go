package ingest

import (
	"fmt"
	"time"

	"github.com/millrace/millrace/dataplane/media"
)

// tagKind says what an audio or video message carries.
type tagKind uint8

const (
	tagIgnored tagKind = iota // nothing to do: metadata, end of sequence, another track, empty
	tagConfig                 // a sequence header
	tagFrames                 // coded media
)

// tag is an audio or video message, read (FLV 10.1, E.4.2 and E.4.3; Enhanced RTMP v2, "Enhanced Audio" and "Enhanced
// Video").
type tag struct {
	kind  tagKind
	codec media.Codec
	key   bool          // video: the encoder calls it a key frame
	cts   time.Duration // composition time offset
	data  []byte
}

// unsupportedCodecError is the error for media that cannot be carried; its text goes to the encoder.
type unsupportedCodecError string

func (e unsupportedCodecError) Error() string { return string(e) }

func unsupportedVideo(name string) error {
	return unsupportedCodecError(
		"video codec " + name + " is not supported; set the encoder to H.264 (or H.265 by Enhanced RTMP)",
	)
}

func unsupportedAudio(name string) error {
	return unsupportedCodecError(
		"audio codec " + name + " is not supported; set the encoder to AAC (or Opus by Enhanced RTMP)",
	)
}

// Packet types of Enhanced RTMP. Video and audio share those that are used here, but for frames without composition
// time.
const (
	exSequenceStart = 0
	exCodedFrames   = 1
	exSequenceEnd   = 2
	exFramesX       = 3 // video only
	exMultitrackV   = 6
	exMultitrackA   = 5
	exModEx         = 7
)

const keyFrame = 1 // frame type of a video tag (FLV 10.1, E.4.3.1)

func parseVideoTag(b []byte) (tag, error) {
	if len(b) < 1 {
		return tag{}, nil
	}
	if b[0]&0x80 != 0 {
		if b[0]>>4&7 == 5 { // a command, not a frame
			return tag{}, nil
		}
		t, err := parseEnhanced(b[0]&0x0F, b[1:], exMultitrackV, videoFourCC)
		t.key = b[0]>>4&7 == keyFrame
		return t, err
	}
	if b[0]>>4 == 5 {
		return tag{}, nil
	}
	var codec media.Codec
	switch b[0] & 0x0F {
	case 7:
		codec = media.H264
	case 12: // not in the FLV specification, but wide-spread
		codec = media.H265
	default:
		return tag{}, unsupportedVideo(legacyVideoName(b[0] & 0x0F))
	}
	if len(b) < 5 {
		return tag{}, nil
	}
	t := tag{codec: codec, key: b[0]>>4 == keyFrame, cts: compositionTime(b[2:5]), data: b[5:]}
	switch b[1] {
	case 0:
		t.kind = tagConfig
	case 1:
		t.kind = tagFrames
	}
	return t.unlessEmpty(), nil
}

func parseAudioTag(b []byte) (tag, error) {
	if len(b) < 1 {
		return tag{}, nil
	}
	switch format := b[0] >> 4; format {
	case 9:
		return parseEnhanced(b[0]&0x0F, b[1:], exMultitrackA, audioFourCC)
	case 10:
		if len(b) < 2 {
			return tag{}, nil
		}
		t := tag{codec: media.AAC, data: b[2:]}
		switch b[1] {
		case 0:
			t.kind = tagConfig
		case 1:
			t.kind = tagFrames
		}
		return t.unlessEmpty(), nil
	default:
		if len(b) == 1 {
			return tag{}, nil
		}
		return tag{}, unsupportedAudio(legacyAudioName(format))
	}
}

// parseEnhanced reads the part of an enhanced tag that follows its first byte.
func parseEnhanced(packet byte, b []byte, multitrack byte, codecOf func(string) (media.Codec, error)) (tag, error) {
	for packet == exModEx { // modifiers, such as time stamps in nanoseconds: left out
		if len(b) < 1 {
			return tag{}, nil
		}
		size, rest := int(b[0])+1, b[1:]
		if size == 256 {
			if len(rest) < 2 {
				return tag{}, nil
			}
			size, rest = int(rest[0])<<8+int(rest[1])+1, rest[2:]
		}
		if len(rest) < size+1 {
			return tag{}, nil
		}
		packet, b = rest[size]&0x0F, rest[size+1:]
	}
	track := byte(0)
	if packet == multitrack {
		// One track per message; its id follows the FourCC. Only track 0 is carried.
		if len(b) < 6 || b[0]>>4 != 0 {
			return tag{}, nil
		}
		packet, track = b[0]&0x0F, b[5]
		b = append(b[1:5:5], b[6:]...)
	}
	if packet > exFramesX || packet == exSequenceEnd || track != 0 || len(b) < 4 {
		return tag{}, nil
	}
	codec, err := codecOf(string(b[:4]))
	if err != nil {
		return tag{}, err
	}
	t := tag{codec: codec, data: b[4:]}
	switch {
	case packet == exSequenceStart:
		t.kind = tagConfig
		return t, nil // Opus has nothing behind its FourCC with some encoders
	case packet == exFramesX && codec.Kind() == media.Video:
		t.kind = tagFrames
	case packet == exCodedFrames && codec.Kind() == media.Audio:
		t.kind = tagFrames
	case packet == exCodedFrames && len(t.data) >= 3:
		t.kind = tagFrames
		t.cts, t.data = compositionTime(t.data), t.data[3:]
	}
	return t.unlessEmpty(), nil
}

func (t tag) unlessEmpty() tag {
	if len(t.data) == 0 {
		return tag{}
	}
	return t
}

// compositionTime reads a signed 24-bit number of milliseconds.
func compositionTime(b []byte) time.Duration {
	v := int32(uint32(b[0])<<24|uint32(b[1])<<16|uint32(b[2])<<8) >> 8
	return time.Duration(v) * time.Millisecond
}

func videoFourCC(s string) (media.Codec, error) {
	switch s {
	case "avc1":
		return media.H264, nil
	case "hvc1":
		return media.H265, nil
	case "av01":
		return 0, unsupportedVideo("AV1")
	case "vp09":
		return 0, unsupportedVideo("VP9")
	case "vp08":
		return 0, unsupportedVideo("VP8")
	}
	return 0, unsupportedVideo(fmt.Sprintf("%q", s))
}

func audioFourCC(s string) (media.Codec, error) {
	switch s {
	case "mp4a":
		return media.AAC, nil
	case "Opus":
		return media.Opus, nil
	case ".mp3":
		return 0, unsupportedAudio("MP3")
	case "ac-3", "ec-3":
		return 0, unsupportedAudio("AC-3")
	case "fLaC":
		return 0, unsupportedAudio("FLAC")
	}
	return 0, unsupportedAudio(fmt.Sprintf("%q", s))
}

func legacyVideoName(id byte) string {
	switch id {
	case 2:
		return "Sorenson H.263"
	case 3, 6:
		return "Screen video"
	case 4, 5:
		return "VP6"
	}
	return fmt.Sprintf("number %d", id)
}

func legacyAudioName(id byte) string {
	switch id {
	case 0, 3:
		return "PCM"
	case 1:
		return "ADPCM"
	case 2, 14:
		return "MP3"
	case 4, 5, 6:
		return "Nellymoser"
	case 7, 8:
		return "G.711"
	case 11:
		return "Speex"
	}
	return fmt.Sprintf("number %d", id)
}
