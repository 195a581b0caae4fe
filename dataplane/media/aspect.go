package media

import (
	"fmt"
	"math"
)

// Aspect is the shape of a pixel: its width and height in the same unit. The zero value means square.
type Aspect struct{ Width, Height int }

// Square reports whether pixels are as wide as they are high.
func (a Aspect) Square() bool { return a.Width == a.Height }

// MarshalText writes the ratio as "64:45".
func (a Aspect) MarshalText() ([]byte, error) { return []byte(a.String()), nil }

func (a Aspect) String() string { return fmt.Sprintf("%d:%d", a.Width, a.Height) }

// UnmarshalText reads what MarshalText writes. What it cannot read is taken for square.
func (a *Aspect) UnmarshalText(text []byte) error {
	if n, _ := fmt.Sscanf(string(text), "%d:%d", &a.Width, &a.Height); n != 2 || a.Width < 1 || a.Height < 1 {
		*a = Aspect{}
	}
	return nil
}

// extendedSAR is the aspect_ratio_idc that is followed by a ratio (ITU-T H.264, Table E-1; H.265, Table E.1).
const extendedSAR = 255

// aspectOf reads the sample aspect ratio of a VUI. What is unspecified or reserved is taken for square, as decoders do.
func aspectOf(idc uint8, width, height uint16) Aspect {
	named := [...]Aspect{
		{}, {1, 1}, {12, 11}, {10, 11}, {16, 11}, {40, 33}, {24, 11}, {20, 11}, {32, 11}, {80, 33}, {18, 11}, {15, 11},
		{64, 33}, {160, 99}, {4, 3}, {3, 2}, {2, 1},
	}
	switch {
	case idc == 1 || idc == extendedSAR && width == height:
		return Aspect{}
	case idc == extendedSAR && width > 0 && height > 0:
		return Aspect{int(width), int(height)}
	case int(idc) < len(named):
		return named[idc]
	}
	return Aspect{}
}

// Shown returns the size of a picture with square pixels and the height of the track's, as people see it. A ratio
// beyond 4 is taken for damage, and for square.
func (t *Track) Shown() (width, height int) {
	a := t.Aspect
	if a.Square() || a.Width > 4*a.Height || a.Height > 4*a.Width {
		return t.Width, t.Height
	}
	return int(math.Round(float64(t.Width) * float64(a.Width) / float64(a.Height))), t.Height
}
