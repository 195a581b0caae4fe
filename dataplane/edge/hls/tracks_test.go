package hls

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"github.com/bluenviron/mediacommon/v2/pkg/codecs/mpeg4audio"
	"github.com/bluenviron/mediacommon/v2/pkg/formats/fmp4"
	"github.com/go-logr/logr"

	"github.com/millrace/millrace/dataplane/hub"
	"github.com/millrace/millrace/dataplane/media"
)

// shownStates opens a muxer and collects the playlists of all states that a viewer could have seen, one after the
// other.
func (s *source) shownStates(f Format) (*Muxer, func() []string) {
	states := make(chan string, 100_000)
	s.muxers.opt.shown = func(st *state) {
		if len(st.segments) > 0 && st.filled {
			states <- string(st.render(f, ""))
		}
	}
	m := s.open(f)
	return m, func() []string {
		m.stop()
		<-m.done
		close(states)
		var all []string
		for text := range states {
			all = append(all, text)
		}
		return all
	}
}

// A segment becomes whole together with the first part of the next one. In between, a playlist would have no segment
// that is open, and no part to wait for: hls.js then numbers discontinuities wrongly, and never loads a last part that
// it first sees in a whole segment.
func TestASegmentEndsWhereTheNextBegins(t *testing.T) {
	for name, gop := range map[string]int{"last part is short": 26, "last part is full": 25} {
		t.Run(name, func(t *testing.T) {
			s := newSource(t, 25, gop)
			s.gops(3)
			_, states := s.shownStates(LowLatency)
			s.gops(4)
			for range 3 { // an encoder that is killed and comes back
				s.pub.Abandon()
				s.publish()
				s.gops(3)
			}
			s.track = &media.Track{
				Codec:  media.H264,
				Width:  352,
				Height: 288,
				SPS:    s.track.SPS,
				PPS:    []byte{0x68, 0xce, 0x3c, 0x81},
			}
			s.pub.SetTracks([]*media.Track{s.track})
			s.gops(4)
			all := states()
			if len(all) < 50 {
				t.Fatalf("%d states", len(all))
			}
			rules := newRules(t)
			var before string
			for i, text := range all {
				if strings.Contains(text, "#EXT-X-ENDLIST") {
					continue
				}
				if !strings.Contains(text, "#EXT-X-PRELOAD-HINT") {
					t.Fatalf("state %d hints at no part:\n%s", i, text)
				}
				_, open := lastSegment(text)
				if open == 0 {
					t.Fatalf("state %d has no part of an open segment:\n%s", i, text)
				}
				// Whatever part was not there before is in the open segment, or it is the first of it.
				if whole, _ := lastSegment(text); before != "" {
					if was, _ := lastSegment(before); whole != was && open != 1 {
						t.Fatalf("state %d ends a segment and shows %d parts of the next:\n%s", i, open, text)
					}
				}
				rules.check(text)
				before = text
			}
		})
	}
}

// lastSegment returns the URI of the last whole segment of a playlist, and the number of parts that follow it.
func lastSegment(text string) (uri string, parts int) {
	for line := range strings.SplitSeq(text, "\n") {
		switch {
		case strings.HasPrefix(line, "seg"):
			uri, parts = line, 0
		case strings.HasPrefix(line, "#EXT-X-PART:"):
			parts++
		}
	}
	return uri, parts
}

// aac makes a track of AAC-LC.
func aac(t *testing.T, rate, channels int) *media.Track {
	t.Helper()
	config, err := mpeg4audio.AudioSpecificConfig{Type: mpeg4audio.ObjectTypeAACLC, SampleRate: rate,
		ChannelConfig: uint8(channels)}.Marshal()
	if err != nil {
		t.Fatal(err)
	}
	track, err := media.NewAACTrack(config)
	if err != nil {
		t.Fatal(err)
	}
	return track
}

// clip writes media of some length, pictures in groups of a second, from where the last clip ended.
type clip struct {
	t   *testing.T
	pub *hub.Publication
	at  time.Duration
}

func (c *clip) write(length time.Duration, video, audio *media.Track) {
	c.t.Helper()
	var tracks []*media.Track
	for _, track := range []*media.Track{video, audio} {
		if track != nil {
			tracks = append(tracks, track)
		}
	}
	c.pub.SetTracks(tracks)
	frame := func(track *media.Track, key bool, at time.Duration) {
		f := &media.Frame{Track: track, Key: key, DTS: at, PTS: at, Ingest: time.Unix(1_700_000_000, 0).Add(at),
			Units: [][]byte{bytes.Repeat([]byte{0x41}, 50)}, Size: 50}
		if err := c.pub.Write(f); err != nil {
			c.t.Fatal(err)
		}
	}
	end := c.at + length
	for n := 0; c.at < end; n++ {
		if video != nil {
			frame(video, n%25 == 0, c.at)
		}
		if audio != nil {
			frame(audio, video == nil, c.at)
			frame(audio, video == nil, c.at+20*time.Millisecond)
		}
		c.at += 40 * time.Millisecond
	}
}

// tracksOf returns what each initialisation segment of a muxer describes, in order.
func tracksOf(t *testing.T, m *Muxer) []string {
	t.Helper()
	m.mu.Lock()
	defer m.mu.Unlock()
	var out []string
	for i := range 100 {
		b, ok := m.state.inits[i]
		if !ok {
			continue
		}
		var in fmp4.Init
		if err := in.Unmarshal(bytes.NewReader(b)); err != nil {
			t.Fatal(err)
		}
		var kinds []string
		for _, track := range in.Tracks {
			kind := "picture"
			if !track.Codec.IsVideo() {
				kind = "sound"
				if track.TimeScale != 48000 {
					kind = "other sound"
				}
			}
			kinds = append(kinds, kind)
		}
		out = append(out, strings.Join(kinds, " and "))
	}
	return out
}

// Tracks that come later, go or change have an initialisation segment of their own, and whoever watches gets them.
func TestTracksComeGoAndChange(t *testing.T) {
	picture := newSource(t, 25, 25).track
	sound, other := aac(t, 48000, 2), aac(t, 44100, 1)
	type step struct {
		video, audio *media.Track
		newEncoder   bool
	}
	for name, c := range map[string]struct {
		steps []step
		want  []string
	}{
		"picture after sound": {[]step{{audio: sound}, {video: picture, audio: sound}},
			[]string{"sound", "picture and sound"}},
		"sound after picture": {[]step{{video: picture}, {video: picture, audio: sound}},
			[]string{"picture", "picture and sound"}},
		"another sound": {[]step{{video: picture, audio: sound}, {video: picture, audio: other}},
			[]string{"picture and sound", "picture and other sound"}},
		"sound alone, another": {[]step{{audio: sound}, {audio: other}}, []string{"sound", "other sound"}},
		"an encoder without picture": {[]step{{video: picture, audio: sound}, {audio: sound, newEncoder: true}},
			[]string{"picture and sound", "sound"}},
		"nothing changes": {[]step{{video: picture, audio: sound}, {video: picture, audio: aac(t, 48000, 2)}},
			[]string{"picture and sound"}},
	} {
		t.Run(name, func(t *testing.T) {
			h := hub.New(hub.Options{})
			defer h.Close()
			muxers := NewMuxers(Options{Linger: time.Hour, EndHold: time.Millisecond, Log: logr.Discard()})
			defer muxers.Close()
			key := hub.Key{Space: "play.example.com", App: "live", Name: "stream"}
			c2 := &clip{t: t}
			var m *Muxer
			for i, s := range c.steps {
				if i == 0 || s.newEncoder {
					if c2.pub != nil {
						c2.pub.Abandon()
					}
					var err error
					if c2.pub, err = h.Publish(key, hub.Publisher{}); err != nil {
						t.Fatal(err)
					}
				}
				c2.write(5*time.Second, s.video, s.audio)
				if m == nil {
					m = muxers.Open(c2.pub.Stream(), LowLatency)
					if _, err := m.Playlist(t.Context(), Want{}, ""); err != nil {
						t.Fatal(err)
					}
				}
			}
			c2.pub.End()
			<-m.done
			got := tracksOf(t, m)
			if strings.Join(got, ", ") != strings.Join(c.want, ", ") {
				t.Errorf("initialisation segments of %q, want %q", got, c.want)
			}
			text, err := m.Playlist(t.Context(), Want{}, "")
			if err != nil {
				t.Fatal(err)
			}
			if n := strings.Count(string(text), "#EXT-X-DISCONTINUITY\n"); n != len(c.want)-1 {
				t.Errorf("%d discontinuities:\n%s", n, text)
			}
		})
	}
}
