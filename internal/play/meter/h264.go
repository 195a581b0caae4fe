package meter

import (
	"bytes"

	"github.com/bluenviron/mediacommon/v2/pkg/codecs/h264"
)

// NAL unit types of H.264 (ITU-T H.264, table 7-1) and of its RTP payload format (RFC 6184, section 5.2).
const (
	nalIDR   = 5
	nalSPS   = 7
	nalSTAPA = 24
	nalFUA   = 28
)

// look reads the beginning of an H.264 payload: it reports whether the packet has a part of an IDR picture, and takes
// the picture's size from a sequence parameter set.
func (s *stream) look(payload []byte) (key bool) {
	if len(payload) < 2 {
		return false
	}
	switch kind := payload[0] & 0x1f; kind {
	case nalSTAPA:
		for rest := payload[1:]; len(rest) > 2; {
			size := int(rest[0])<<8 | int(rest[1])
			if size == 0 || size > len(rest)-2 {
				return key
			}
			key = s.unit(rest[2:2+size]) || key
			rest = rest[2+size:]
		}
		return key
	case nalFUA:
		return payload[1]&0x1f == nalIDR
	default:
		return s.unit(payload)
	}
}

func (s *stream) unit(unit []byte) (key bool) {
	switch unit[0] & 0x1f {
	case nalIDR:
		return true
	case nalSPS:
		if bytes.Equal(unit, s.sps) {
			return false
		}
		var sps h264.SPS
		if sps.Unmarshal(unit) == nil {
			s.sps = bytes.Clone(unit)
			s.width, s.height = sps.Width(), sps.Height()
		}
	}
	return false
}
