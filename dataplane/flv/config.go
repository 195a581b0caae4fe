package flv

import (
	"encoding/binary"
	"fmt"

	"github.com/bluenviron/mediacommon/v2/pkg/codecs/h264"
	"github.com/bluenviron/mediacommon/v2/pkg/codecs/h265"

	"github.com/millrace/millrace/dataplane/media"
)

// avcConfig is an AVCDecoderConfigurationRecord (ISO/IEC 14496-15, 5.3.3.1) with lengths of 4 bytes.
func avcConfig(t *media.Track) []byte {
	b := []byte{1, t.SPS[1], t.SPS[2], t.SPS[3], 0xFF, 0xE1}
	b = append(binary.BigEndian.AppendUint16(b, uint16(len(t.SPS))), t.SPS...)
	b = append(b, 1)
	b = append(binary.BigEndian.AppendUint16(b, uint16(len(t.PPS))), t.PPS...)
	switch t.SPS[1] {
	case 100, 110, 122, 144:
		var s h264.SPS
		if s.Unmarshal(t.SPS) == nil { // it was read before, when the track was made
			b = append(b, 0xFC|byte(s.ChromaFormatIdc), 0xF8|byte(s.BitDepthLumaMinus8), 0xF8|byte(s.BitDepthChromaMinus8), 0)
		}
	}
	return b
}

// hevcConfig is an HEVCDecoderConfigurationRecord (ISO/IEC 14496-15, 8.3.3.1) with lengths of 4 bytes.
func hevcConfig(t *media.Track) ([]byte, error) {
	var s h265.SPS
	if err := s.Unmarshal(t.SPS); err != nil {
		return nil, fmt.Errorf("reading the H.265 sequence parameter set: %w", err)
	}
	// general_profile_space to general_level_idc stand in the SPS as they stand in the record (ITU-T H.265, 7.3.3), behind
	// two bytes of NAL unit header and one of the SPS' own; emulation prevention may lie between.
	raw := unescape(t.SPS)
	if len(raw) < 15 {
		return nil, fmt.Errorf("the H.265 sequence parameter set is too short")
	}
	layers := byte(min(s.MaxSubLayersMinus1+1, 7))<<3 | 3 // numTemporalLayers, lengthSizeMinusOne
	if s.TemporalIDNestingFlag {
		layers |= 4
	}
	b := append([]byte{1}, raw[3:15]...)
	b = append(
		b,
		0xF0,
		0,
		0xFC,
		0xFC|byte(s.ChromaFormatIdc),
		0xF8|byte(s.BitDepthLumaMinus8),
		0xF8|byte(s.BitDepthChromaMinus8),
		0,
		0,
		layers,
		3,
	)
	for _, set := range []struct {
		typ  byte
		unit []byte
	}{{32, t.VPS}, {33, t.SPS}, {34, t.PPS}} {
		b = append(b, 0x80|set.typ, 0, 1)
		b = append(binary.BigEndian.AppendUint16(b, uint16(len(set.unit))), set.unit...)
	}
	return b, nil
}

// unescape takes emulation prevention bytes out of the beginning of a NAL unit (ITU-T H.265, 7.3.1.1).
func unescape(unit []byte) []byte {
	out := make([]byte, 0, 32)
	for i, c := range unit {
		if len(out) == cap(out) {
			break
		}
		if c == 3 && i >= 2 && unit[i-1] == 0 && unit[i-2] == 0 {
			continue
		}
		out = append(out, c)
	}
	return out
}

// opusHead is an identification header (RFC 7845, 5.1): no pre-skip, for a live stream begins anywhere.
func opusHead(t *media.Track) []byte {
	b := []byte{'O', 'p', 'u', 's', 'H', 'e', 'a', 'd', 1, byte(t.Channels), 0, 0}
	return append(binary.LittleEndian.AppendUint32(b, uint32(t.SampleRate)), 0, 0, 0)
}
