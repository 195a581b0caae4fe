package hls

import (
	"bytes"
	"context"
	"testing"
	"time"

	"github.com/bluenviron/mediacommon/v2/pkg/formats/fmp4"
	"github.com/go-logr/logr"

	"github.com/millrace/millrace/dataplane/hub"
	"github.com/millrace/millrace/dataplane/media"
	"github.com/millrace/millrace/internal/testkit"
)

// source is a stream whose time goes as fast as it is written.
type source struct {
	t        *testing.T
	hub      *hub.Hub
	muxers   *Muxers
	pub      *hub.Publication
	track    *media.Track
	fps, gop int
	frames   int
	size     int
	at       time.Duration
}

func newSource(t *testing.T, fps, gop int) *source {
	t.Helper()
	s := &source{
		t:      t,
		hub:    hub.New(hub.Options{}),
		muxers: NewMuxers(Options{Linger: time.Hour, EndHold: time.Millisecond, Log: logr.Discard()}),
		fps:    fps,
		gop:    gop,
		size:   200,
		track: &media.Track{
			Codec: media.H264, Width: 352, Height: 288, PPS: []byte{0x68, 0xce, 0x3c, 0x80},
			SPS: []byte{
				0x67,
				0x64,
				0x00,
				0x0c,
				0xac,
				0x3b,
				0x50,
				0xb0,
				0x4b,
				0x42,
				0x00,
				0x00,
				0x03,
				0x00,
				0x02,
				0x00,
				0x00,
				0x03,
				0x00,
				0x3d,
				0x08,
			},
		},
	}
	t.Cleanup(func() {
		s.muxers.Close()
		s.hub.Close()
	})
	s.publish()
	return s
}

func (s *source) publish() {
	s.t.Helper()
	var err error
	if s.pub, err = s.hub.Publish(hub.Key{Space: "play.example.com", App: "live", Name: "stream"},
		hub.Publisher{}); err != nil {
		s.t.Fatal(err)
	}
	s.pub.SetTracks([]*media.Track{s.track})
}

// gops writes groups of pictures with time stamps in whole milliseconds, as encoders send them, and waits until the
// muxers have taken each: the ring holds only seconds.
func (s *source) gops(n int) {
	s.t.Helper()
	for range n {
		s.write()
		for deadline := time.Now().Add(testkit.Patience()); !s.taken(); {
			if time.Now().After(deadline) {
				s.t.Fatal("the muxers do not take what is written")
			}
			time.Sleep(20 * time.Microsecond)
		}
	}
}

// taken reports whether all muxers have shown what was written, but for the newest frames.
func (s *source) taken() bool {
	edge := time.Unix(1_700_000_000, 0).Add(s.at)
	for _, m := range s.muxers.byID {
		m.mu.Lock()
		shown := time.Time{}
		if n := len(m.state.segments); n > 0 {
			last := m.state.segments[n-1]
			shown = last.start.Add(last.duration)
		}
		m.mu.Unlock()
		slack := 2 * aimedPart
		if m.Format == TS {
			slack = 2*time.Second + slack
		}
		if edge.Sub(shown) > slack {
			return false
		}
	}
	return true
}

func (s *source) write() {
	s.t.Helper()
	for range s.gop {
		s.at = (time.Duration(s.frames) * time.Second / time.Duration(s.fps)).Truncate(time.Millisecond)
		late := time.Duration(s.frames%7) * 10 * time.Millisecond
		f := &media.Frame{
			Track:  s.track,
			Key:    s.frames%s.gop == 0,
			DTS:    s.at,
			PTS:    s.at,
			Ingest: time.Unix(1_700_000_000, 0).Add(s.at + late),
			Units:  [][]byte{bytes.Repeat([]byte{0x41}, s.size)},
			Size:   s.size,
		}
		if f.Key {
			f.Units = [][]byte{s.track.SPS, s.track.PPS, bytes.Repeat([]byte{0x65}, s.size)}
		}
		if err := s.pub.Write(f); err != nil {
			s.t.Fatal(err)
		}
		s.frames++
	}
}

func (s *source) open(f Format) *Muxer { return s.muxers.Open(s.pub.Stream(), f) }

func (s *source) playlist(m *Muxer, want Want) string {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), testkit.Patience())
	defer cancel()
	b, err := m.Playlist(ctx, want, "")
	if err != nil {
		s.t.Fatalf("playlist %+v: %v", want, err)
	}
	return string(b)
}

func (s *source) resource(m *Muxer, name string) []byte {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), testkit.Patience())
	defer cancel()
	pieces, _, err := m.Resource(ctx, name)
	if err != nil {
		s.t.Errorf("%s: %v", name, err)
	}
	return bytes.Join(pieces, nil)
}

// continuity checks that segments follow one another without a gap.
type continuity struct {
	t    *testing.T
	next uint64
}

func (c *continuity) check(segment []byte) {
	c.t.Helper()
	var parts fmp4.Parts
	if err := parts.Unmarshal(segment); err != nil || len(parts) == 0 {
		c.t.Fatalf("segment of %d parts: %v", len(parts), err)
	}
	for i, p := range parts {
		track := p.Tracks[0]
		if i == 0 && track.Samples[0].IsNonSyncSample {
			c.t.Fatal("a segment begins with a frame that needs others")
		}
		if c.next != 0 && track.BaseTime != c.next {
			c.t.Fatalf("part %d begins at %d, the one before ended at %d", i, track.BaseTime, c.next)
		}
		c.next = track.BaseTime
		for _, sample := range track.Samples {
			c.next += uint64(sample.Duration)
		}
	}
}
