package flv

import (
	"encoding/binary"
	"time"

	"github.com/bluenviron/gortmplib/pkg/amf0"

	"github.com/millrace/millrace/dataplane/media"
)

// Muxer makes tags of the frames of one stream, in order. It is not safe for concurrent use.
type Muxer struct {
	video, audio *media.Track
	facts        media.Facts
	preamble     *Preamble
}

// NewMuxer starts with the tracks that the stream has announced.
func NewMuxer(tracks []*media.Track, facts media.Facts) *Muxer {
	m := &Muxer{facts: facts}
	for _, t := range tracks {
		m.set(t)
	}
	return m
}

func (m *Muxer) set(t *media.Track) {
	if t.Codec.Kind() == media.Video {
		m.video = t
	} else {
		m.audio = t
	}
	m.preamble = nil
}

// Add appends the tags of a frame to those given: its sequence header first when the track has changed.
func (m *Muxer) Add(to []*Tag, f *media.Frame) ([]*Tag, error) {
	changed := m.track(f.Kind()) != f.Track
	if changed {
		m.set(f.Track)
	}
	if err := m.prepare(f.DTS); err != nil {
		return to, err
	}
	if changed {
		header, err := m.header(f.Track, f.DTS)
		if err != nil {
			return to, err
		}
		if header != nil {
			to = append(to, header)
		}
	}
	t, err := frameTag(f)
	if err != nil {
		return to, err
	}
	t.Media, t.Key = true, f.Key
	if f.Key {
		t.Preamble = m.preamble
	}
	return append(to, t), nil
}

func (m *Muxer) track(k media.Kind) *media.Track {
	if k == media.Video {
		return m.video
	}
	return m.audio
}

// prepare makes the preamble of the tracks in force. The time stamps of sequence headers are those of the frame that
// comes next, so that players which take the first time stamp for the beginning begin there. That of metadata is 0:
// libavformat takes a script tag with any other for a track of subtitles.
func (m *Muxer) prepare(dts time.Duration) error {
	if m.preamble != nil {
		return nil
	}
	p := &Preamble{FLV: []byte{'F', 'L', 'V', 1, 0, 0, 0, 0, 9, 0, 0, 0, 0}}
	if m.video != nil {
		p.FLV[4] |= 1
	}
	if m.audio != nil {
		p.FLV[4] |= 4
	}
	script, err := m.metadata()
	if err != nil {
		return err
	}
	all := []*Tag{script}
	for _, t := range []*media.Track{m.video, m.audio} {
		if t == nil {
			continue
		}
		header, err := m.header(t, dts)
		if err != nil {
			return err
		}
		if header != nil {
			all = append(all, header)
		}
	}
	for _, t := range all {
		p.FLV = append(p.FLV, t.FLV...)
		p.RTMP = append(p.RTMP, t.RTMP...)
	}
	m.preamble = p
	return nil
}

// metadata is the onMetaData script tag (FLV 10.1, E.5; Enhanced RTMP v2, "Metadata").
func (m *Muxer) metadata() (*Tag, error) {
	o := amf0.ECMAArray{}
	add := func(key string, v any) { o = append(o, amf0.ObjectEntry{Key: key, Value: v}) }
	if v := m.video; v != nil {
		add("width", float64(v.Width))
		add("height", float64(v.Height))
		add("videocodecid", videoCodecID(v.Codec))
		if m.facts.FPS > 0 {
			add("framerate", m.facts.FPS)
		}
		if m.facts.VideoKbps > 0 {
			add("videodatarate", float64(m.facts.VideoKbps))
		}
	}
	if a := m.audio; a != nil {
		add("audiocodecid", audioCodecID(a.Codec))
		add("audiosamplerate", float64(a.SampleRate))
		add("audiosamplesize", float64(16))
		add("stereo", a.Channels > 1)
	}
	add("server", "millrace")
	body, err := amf0.Data{"onMetaData", o}.Marshal()
	if err != nil {
		return nil, err
	}
	return build(TypeScript, 0, len(body), func(b []byte) { copy(b, body) })
}

func videoCodecID(c media.Codec) float64 {
	if c == media.H265 {
		return float64('h'<<24 | 'v'<<16 | 'c'<<8 | '1')
	}
	return 7
}

func audioCodecID(c media.Codec) float64 {
	if c == media.Opus {
		return float64('O'<<24 | 'p'<<16 | 'u'<<8 | 's')
	}
	return 10
}

// header is the sequence header of a track.
func (m *Muxer) header(t *media.Track, dts time.Duration) (*Tag, error) {
	var head, body []byte
	typ := uint8(TypeVideo)
	switch t.Codec {
	case media.H264:
		head, body = []byte{0x17, 0, 0, 0, 0}, avcConfig(t)
	case media.H265:
		var err error
		head = []byte{0x90, 'h', 'v', 'c', '1'}
		if body, err = hevcConfig(t); err != nil {
			return nil, err
		}
	case media.AAC:
		typ, head, body = TypeAudio, []byte{0xAF, 0}, t.Config
	case media.Opus:
		typ, head, body = TypeAudio, []byte{0x90, 'O', 'p', 'u', 's'}, opusHead(t)
	}
	return build(typ, dts, len(head)+len(body), func(b []byte) { copy(b[copy(b, head):], body) })
}

// frameTag is the tag of a frame (FLV 10.1, E.4.2 and E.4.3; Enhanced RTMP v2, "Enhanced Video" and "Enhanced Audio").
func frameTag(f *media.Frame) (*Tag, error) {
	if f.Kind() == media.Audio {
		head := [5]byte{0xAF, 1}
		n := 2
		if f.Track.Codec == media.Opus {
			head, n = [5]byte{0x91, 'O', 'p', 'u', 's'}, 5
		}
		return build(TypeAudio, f.DTS, n+f.Size, func(b []byte) {
			at := copy(b, head[:n])
			for _, u := range f.Units {
				at += copy(b[at:], u)
			}
		})
	}
	cts := uint32(max(f.PTS.Milliseconds()-f.DTS.Milliseconds(), 0))
	var head [8]byte
	n := 5
	kind := byte(0x20)
	if f.Key {
		kind = 0x10
	}
	if f.Track.Codec == media.H265 {
		copy(head[:], []byte{0x80 | kind | 1, 'h', 'v', 'c', '1'})
		put24(head[5:], cts)
		n = 8
	} else {
		head[0], head[1] = kind|7, 1
		put24(head[2:], cts)
	}
	return build(TypeVideo, f.DTS, n+f.Size+4*len(f.Units), func(b []byte) {
		at := copy(b, head[:n])
		for _, u := range f.Units {
			binary.BigEndian.PutUint32(b[at:], uint32(len(u)))
			at += 4 + copy(b[at+4:], u)
		}
	})
}
