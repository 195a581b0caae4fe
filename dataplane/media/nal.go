package media

import (
	"errors"
	"fmt"
)

// NAL unit types of H.264 (ITU-T H.264, table 7-1) and H.265 (ITU-T H.265, table 7-1) that are told apart here.
const (
	h264Slice      = 1
	h264PartitionA = 2
	h264IDR        = 5
	h264SPS        = 7
	h264PPS        = 8
	h264AUD        = 9
	h264Filler     = 12

	h265FirstIRAP  = 16 // BLA_W_LP
	h265LastIRAP   = 21 // CRA_NUT
	h265LastVCL    = 31
	h265VPS        = 32
	h265SPS        = 33
	h265PPS        = 34
	h265AUD        = 35
	h265Filler     = 38
	h264SliceTypeB = 1 // slice_type modulo 5 (ITU-T H.264, table 7-6)
)

// The bounds of an access unit.
const (
	MaxUnits      = 512     // NAL units in an access unit
	MaxAccessUnit = 8 << 20 // bytes
)

// errUnits is returned for length-prefixed NAL units that do not add up.
var errUnits = errors.New("the lengths of the NAL units do not add up to the access unit")

// nalType returns the type of a NAL unit; a unit that is too short for its header has type 255.
func nalType(codec Codec, unit []byte) int {
	switch {
	case codec == H264 && len(unit) >= 1:
		return int(unit[0] & 0x1F)
	case codec == H265 && len(unit) >= 2:
		return int(unit[0] >> 1 & 0x3F)
	}
	return 255
}

// SplitUnits cuts an access unit into its NAL units, which are prefixed by their length in lengthSize bytes (1 to 4;
// ISO/IEC 14496-15, 5.2.3). Empty units are left out. The units share the memory of au.
func SplitUnits(au []byte, lengthSize int) ([][]byte, error) {
	if lengthSize < 1 || lengthSize > 4 {
		return nil, fmt.Errorf("a length of %d bytes before NAL units: 1 to 4 are possible", lengthSize)
	}
	if len(au) > MaxAccessUnit {
		return nil, fmt.Errorf("an access unit of %d bytes: at most %d are accepted", len(au), MaxAccessUnit)
	}
	count := 0
	for rest := au; len(rest) > 0; {
		unit, tail, err := cutUnit(rest, lengthSize)
		if err != nil {
			return nil, err
		}
		if len(unit) > 0 {
			count++
		}
		rest = tail
	}
	if count > MaxUnits {
		return nil, fmt.Errorf("an access unit of %d NAL units: at most %d are accepted", count, MaxUnits)
	}
	// Room for parameter sets to be put in front.
	units := make([][]byte, 0, count+3)
	for rest := au; len(rest) > 0; {
		unit, tail, _ := cutUnit(rest, lengthSize)
		if len(unit) > 0 {
			units = append(units, unit)
		}
		rest = tail
	}
	return units, nil
}

func cutUnit(b []byte, lengthSize int) (unit, rest []byte, err error) {
	if len(b) < lengthSize {
		return nil, nil, errUnits
	}
	n := 0
	for _, v := range b[:lengthSize] {
		n = n<<8 | int(v)
	}
	b = b[lengthSize:]
	if n > len(b) {
		return nil, nil, errUnits
	}
	return b[:n:n], b[n:], nil
}

// sliceType returns the slice_type of an H.264 slice modulo 5, or -1 when it cannot be read (ITU-T H.264, 7.3.3:
// first_mb_in_slice, slice_type).
func sliceType(unit []byte) int {
	r := bitReader{data: unit[1:min(len(unit), 16)]}
	r.golomb()
	typ := r.golomb()
	if r.failed {
		return -1
	}
	return int(typ % 5)
}

// parameterSetID reads the id of an H.264 or H.265 parameter set, by which sets replace one another. Sets that cannot
// be read have id 0.
func parameterSetID(codec Codec, typ int, unit []byte) uint32 {
	if codec == H264 {
		skip := 1 // NAL unit header
		if typ == h264SPS {
			skip += 3 // profile_idc, constraint flags, level_idc
		}
		if len(unit) <= skip {
			return 0
		}
		r := bitReader{data: unit[skip:]}
		return r.golomb()
	}
	// H.265: the id of a PPS is its first field; of VPS and SPS there is one in practice, and the SPS' id lies behind the
	// variable profile_tier_level.
	if typ != h265PPS || len(unit) <= 2 {
		return 0
	}
	r := bitReader{data: unit[2:]}
	return r.golomb()
}
