package media

import "github.com/bluenviron/mediacommon/v2/pkg/codecs/h264"

// ForBrowsers reports whether browsers decode the pictures of an H.264 track and show them in their shape: 4:2:0 with 8
// bits, progressive, square pixels (RTP does not tell the shape of pixels).
func (t *Track) ForBrowsers() bool {
	var s h264.SPS
	if err := s.Unmarshal(t.SPS); err != nil {
		return false
	}
	switch s.ProfileIdc {
	case 66, 77, 100: // (Constrained) Baseline, Main, (Constrained) High
		return s.FrameMbsOnlyFlag && t.Aspect.Square()
	}
	return false
}
