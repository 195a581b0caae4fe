package media

import (
	"bytes"
	"errors"
	"fmt"

	"github.com/bluenviron/mediacommon/v2/pkg/codecs/h264"
	"github.com/bluenviron/mediacommon/v2/pkg/codecs/h265"
	"github.com/bluenviron/mediacommon/v2/pkg/codecs/mpeg4audio"
)

// MaxSide is the largest width and height of a picture that is accepted, in pixels.
const MaxSide = 16384

// maxParameterSet bounds a parameter set, in bytes. Larger than any in use; an SPS with all scaling lists has under 1
// KiB.
const maxParameterSet = 4096

// SameTrack reports whether two tracks are decoded alike, so that a decoder that has one can go on with the other: the
// same codec with the same configuration. nil is no track. It is the one rule for "the tracks have changed".
func SameTrack(a, b *Track) bool {
	if a == b || a == nil || b == nil {
		return a == b
	}
	return a.Codec == b.Codec && a.SampleRate == b.SampleRate && a.Channels == b.Channels &&
		bytes.Equal(a.Config, b.Config) && bytes.Equal(a.VPS, b.VPS) && bytes.Equal(a.SPS, b.SPS) && bytes.Equal(a.PPS, b.PPS)
}

// sequence is what a sequence parameter set says.
type sequence struct {
	profile       string
	width, height int
	aspect        Aspect
}

// NewH264Track makes a track of parameter sets without start codes. The slices must not be changed afterwards.
func NewH264Track(sps, pps []byte) (*Track, error) {
	seq, err := parseSPS(H264, sps)
	if err != nil {
		return nil, err
	}
	if len(pps) < 2 {
		return nil, errors.New("the picture parameter set is empty")
	}
	return &Track{Codec: H264, SPS: sps, PPS: pps, Width: seq.width, Height: seq.height, Aspect: seq.aspect}, nil
}

// NewH265Track makes a track of parameter sets without start codes. The slices must not be changed afterwards.
func NewH265Track(vps, sps, pps []byte) (*Track, error) {
	seq, err := parseSPS(H265, sps)
	if err != nil {
		return nil, err
	}
	if len(vps) < 3 || len(pps) < 3 {
		return nil, errors.New("the video or picture parameter set is empty")
	}
	return &Track{
		Codec: H265, VPS: vps, SPS: sps, PPS: pps, Width: seq.width, Height: seq.height, Aspect: seq.aspect,
	}, nil
}

// NewAACTrack makes a track of an AudioSpecificConfig (ISO/IEC 14496-3, 1.6.2.1). The sample rate is that of the sound
// that a decoder puts out, SBR included.
func NewAACTrack(config []byte) (*Track, error) {
	var c mpeg4audio.AudioSpecificConfig
	if len(config) > 64 {
		return nil, fmt.Errorf("an AudioSpecificConfig of %d bytes: at most 64 are accepted", len(config))
	}
	if err := c.Unmarshal(config); err != nil {
		return nil, fmt.Errorf("reading the AudioSpecificConfig: %w", err)
	}
	channels := int(c.ChannelConfig)
	switch {
	case channels == 7:
		channels = 8
	case channels < 1 || channels > 7:
		return nil, fmt.Errorf("AAC with channel configuration %d is not supported: send mono or stereo", channels)
	}
	rate := max(c.SampleRate, c.ExtensionSampleRate)
	if rate < 7350 || rate > 96000 {
		return nil, fmt.Errorf("AAC at %d Hz is not supported: send 44100 or 48000", rate)
	}
	return &Track{Codec: AAC, SampleRate: rate, Channels: channels, Config: config}, nil
}

// NewOpusTrack makes a track of Opus at 48 kHz with 1 or 2 channels.
func NewOpusTrack(channels int) (*Track, error) {
	if channels < 1 || channels > 2 {
		return nil, fmt.Errorf("opus with %d channels is not supported: send mono or stereo", channels)
	}
	return &Track{Codec: Opus, SampleRate: 48000, Channels: channels}, nil
}

// parseSPS reads a sequence parameter set of H.264 or H.265.
func parseSPS(codec Codec, sps []byte) (sequence, error) {
	if len(sps) > maxParameterSet {
		return sequence{}, fmt.Errorf(
			"a sequence parameter set of %d bytes: at most %d are accepted",
			len(sps),
			maxParameterSet,
		)
	}
	var seq sequence
	switch codec {
	case H264:
		var s h264.SPS
		if err := s.Unmarshal(sps); err != nil {
			return seq, fmt.Errorf("reading the H.264 sequence parameter set: %w", err)
		}
		if s.PicWidthInMbsMinus1 >= MaxSide/16 || s.PicHeightInMapUnitsMinus1 >= MaxSide/16 {
			return seq, errTooLarge
		}
		seq = sequence{h264Profile(&s), s.Width(), s.Height(), Aspect{}}
		if v := s.VUI; v != nil && v.AspectRatioInfoPresentFlag {
			seq.aspect = aspectOf(v.AspectRatioIdc, v.SarWidth, v.SarHeight)
		}
	case H265:
		var s h265.SPS
		if err := s.Unmarshal(sps); err != nil {
			return seq, fmt.Errorf("reading the H.265 sequence parameter set: %w", err)
		}
		if s.PicWidthInLumaSamples > MaxSide || s.PicHeightInLumaSamples > MaxSide {
			return seq, errTooLarge
		}
		seq = sequence{h265Profile(&s), s.Width(), s.Height(), Aspect{}}
		if v := s.VUI; v != nil && v.AspectRatioInfoPresentFlag {
			seq.aspect = aspectOf(v.AspectRatioIdc, v.SarWidth, v.SarHeight)
		}
	}
	if seq.width <= 0 || seq.height <= 0 {
		return seq, errors.New("the sequence parameter set describes a picture without pixels")
	}
	return seq, nil
}

var errTooLarge = fmt.Errorf(
	"the sequence parameter set describes a picture with a side of more than %d pixels",
	MaxSide,
)

// h264Profile names a profile (ITU-T H.264, A.2).
func h264Profile(s *h264.SPS) string {
	switch s.ProfileIdc {
	case 66:
		if s.ConstraintSet1Flag {
			return "Constrained Baseline"
		}
		return "Baseline"
	case 77:
		return "Main"
	case 88:
		return "Extended"
	case 100:
		if s.ConstraintSet4Flag && s.ConstraintSet5Flag {
			return "Constrained High"
		}
		return "High"
	case 110:
		return "High 10"
	case 122:
		return "High 4:2:2"
	case 244:
		return "High 4:4:4 Predictive"
	}
	return fmt.Sprintf("profile %d", s.ProfileIdc)
}

// h265Profile names a profile (ITU-T H.265, A.3).
func h265Profile(s *h265.SPS) string {
	switch idc := s.ProfileTierLevel.GeneralProfileIdc; idc {
	case 1:
		return "Main"
	case 2:
		return "Main 10"
	case 3:
		return "Main Still Picture"
	case 4:
		return "Range Extensions"
	default:
		return fmt.Sprintf("profile %d", idc)
	}
}
