package transcode

import (
	"fmt"

	"github.com/bluenviron/mediacommon/v2/pkg/codecs/h264"

	"github.com/millrace/millrace/dataplane/media"
)

// payload is a frame as ffmpeg reads it: NAL units behind start codes (ITU-T H.264 and H.265, annex B), or a raw frame
// of audio.
func payload(f *media.Frame) []byte {
	if f.Kind() == media.Audio {
		return f.Units[0]
	}
	return annexB(f.Units)
}

func annexB(units [][]byte) []byte {
	size := 0
	for _, u := range units {
		size += 4 + len(u)
	}
	out := make([]byte, 0, size)
	for _, u := range units {
		out = append(out, 0, 0, 0, 1)
		out = append(out, u...)
	}
	return out
}

func splitAnnexB(b []byte) ([][]byte, error) {
	var units h264.AnnexB
	if err := units.Unmarshal(b); err != nil {
		return nil, fmt.Errorf("cutting NAL units: %w", err)
	}
	return units, nil
}
