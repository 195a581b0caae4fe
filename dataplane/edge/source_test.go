package edge

import (
	"bytes"
	"testing"
	"time"

	"github.com/millrace/millrace/dataplane/hub"
	"github.com/millrace/millrace/dataplane/media"
)

// source is a publisher that the test writes frame by frame.
type source struct {
	t     *testing.T
	pub   *hub.Publication
	video *media.Track
	at    time.Duration
	size  int
}

func videoTrack() *media.Track {
	return &media.Track{
		Codec: media.H264, Width: 352, Height: 288, SPS: []byte{0x67, 0x64, 0x00, 0x0c, 0xac, 0x3b, 0x50, 0xb0, 0x4b, 0x42,
			0x00, 0x00, 0x03, 0x00, 0x02, 0x00, 0x00, 0x03, 0x00, 0x3d, 0x08}, PPS: []byte{0x68, 0xce, 0x3c, 0x80},
	}
}

// source publishes the stream without an encoder.
func (r *rig) source() *source {
	r.t.Helper()
	s := &source{t: r.t, video: videoTrack(), size: 1000}
	s.publish(r.hub)
	return s
}

func (s *source) publish(h *hub.Hub) {
	s.t.Helper()
	var err error
	if s.pub, err = h.Publish(liveKey, hub.Publisher{}); err != nil {
		s.t.Fatal(err)
	}
	s.pub.SetTracks([]*media.Track{s.video})
}

// gop writes a key frame and others, 40 ms apart.
func (s *source) gop(frames int) {
	s.t.Helper()
	for i := range frames {
		f := &media.Frame{
			Track:  s.video,
			Key:    i == 0,
			DTS:    s.at,
			PTS:    s.at,
			Ingest: time.Unix(1_700_000_000, 0).Add(s.at),
			Units:  [][]byte{bytes.Repeat([]byte{0x41}, s.size)},
		}
		if f.Key {
			f.Units = [][]byte{s.video.SPS, s.video.PPS, bytes.Repeat([]byte{0x65}, s.size)}
		}
		for _, u := range f.Units {
			f.Size += len(u)
		}
		if err := s.pub.Write(f); err != nil {
			s.t.Fatal(err)
		}
		s.at += 40 * time.Millisecond
	}
}
