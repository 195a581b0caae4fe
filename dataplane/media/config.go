package media

import (
	"errors"
	"fmt"
)

// DecoderConfig is a decoder configuration record as FLV, RTMP and MP4 carry it in front of video.
type DecoderConfig struct {
	// LengthSize is the number of bytes of the length before each NAL unit, 1 to 4.
	LengthSize int
	// Sets are the parameter sets in the order of the record, without start codes. They share the memory of the record.
	Sets [][]byte
}

// maxParameterSets bounds how many parameter sets of a kind a stream has in force.
const maxParameterSets = 16

var errShortConfig = errors.New("the decoder configuration record is cut short")

// ParseAVCConfig reads an AVCDecoderConfigurationRecord (ISO/IEC 14496-15, 5.3.3.1).
func ParseAVCConfig(b []byte) (DecoderConfig, error) {
	if len(b) < 6 {
		return DecoderConfig{}, errShortConfig
	}
	if b[0] != 1 {
		return DecoderConfig{}, fmt.Errorf("version %d of the AVC decoder configuration record is not known", b[0])
	}
	c := DecoderConfig{LengthSize: int(b[4]&3) + 1}
	rest, err := c.readSets(b[6:], int(b[5]&0x1F))
	if err != nil {
		return DecoderConfig{}, err
	}
	if len(rest) < 1 {
		return DecoderConfig{}, errShortConfig
	}
	if _, err = c.readSets(rest[1:], int(rest[0])); err != nil {
		return DecoderConfig{}, err
	}
	return c, nil
}

// ParseHEVCConfig reads an HEVCDecoderConfigurationRecord (ISO/IEC 14496-15, 8.3.3.1).
func ParseHEVCConfig(b []byte) (DecoderConfig, error) {
	if len(b) < 23 {
		return DecoderConfig{}, errShortConfig
	}
	c := DecoderConfig{LengthSize: int(b[21]&3) + 1}
	rest := b[23:]
	for range b[22] {
		if len(rest) < 3 {
			return DecoderConfig{}, errShortConfig
		}
		typ, count := int(rest[0]&0x3F), int(rest[1])<<8|int(rest[2])
		before := len(c.Sets)
		var err error
		if rest, err = c.readSets(rest[3:], count); err != nil {
			return DecoderConfig{}, err
		}
		if typ < h265VPS || typ > h265PPS {
			c.Sets = c.Sets[:before] // SEI messages
		}
	}
	return c, nil
}

// readSets reads count sets, each with its length in two bytes in front.
func (c *DecoderConfig) readSets(b []byte, count int) (rest []byte, err error) {
	for range count {
		if len(b) < 2 {
			return nil, errShortConfig
		}
		n := int(b[0])<<8 | int(b[1])
		if b = b[2:]; n > len(b) {
			return nil, errShortConfig
		}
		if n > maxParameterSet || len(c.Sets) >= 3*maxParameterSets {
			return nil, errors.New("the decoder configuration record has too many or too long parameter sets")
		}
		if n > 0 {
			c.Sets = append(c.Sets, b[:n:n])
		}
		b = b[n:]
	}
	return b, nil
}
