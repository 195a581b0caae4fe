package ingest

import (
	"bytes"
	"fmt"
	"time"

	"github.com/bluenviron/gortmplib/pkg/amf0"

	"github.com/millrace/millrace/dataplane/media"
)

// settleTime is how much audio may come, by its time stamps, before a source counts as one without video.
const settleTime = time.Second

// program turns the messages of one publisher into tracks and frames. It knows nothing of the network.
type program struct {
	inspector *media.Inspector
	line      timeline

	units      *media.AccessUnits
	joins      media.Joins
	unitsCodec media.Codec
	lengthSize int

	video, audio         *media.Track
	saidVideo, saidAudio *media.Track // what the caller was told last

	// Whether frames are given out yet: a source with video starts with its video track, any other with its audio after a
	// while.
	settled    bool
	firstAudio uint32
	sawAudio   bool

	// The first key frame: audio that belongs before it would lie before the beginning of the stream.
	begun bool
	begin time.Duration

	damaged int // access units that were dropped because they could not be read
}

func newProgram() *program {
	return &program{inspector: media.NewInspector(), lengthSize: 4}
}

// tracks lists the tracks in force, video first.
func (p *program) tracks() []*media.Track {
	var out []*media.Track
	for _, t := range []*media.Track{p.video, p.audio} {
		if t != nil {
			out = append(out, t)
		}
	}
	return out
}

// take reads an audio, video or data message that came in at a time. It gives the frame in it, nil when there is none,
// and reports whether the tracks have changed. The frame's memory is the message's.
//
// An error means that the source cannot be carried; its text is for the encoder.
func (p *program) take(m rawMessage, now time.Time) (frame *media.Frame, tracksChanged bool, err error) {
	switch m.typ {
	case typeVideo:
		frame, err = p.takeVideo(m)
	case typeAudio:
		frame, err = p.takeAudio(m)
	case typeDataAMF0:
		p.takeData(m.body)
	}
	if err != nil {
		return nil, false, err
	}
	if p.settled && (p.video != p.saidVideo || p.audio != p.saidAudio) {
		p.saidVideo, p.saidAudio = p.video, p.audio
		tracksChanged = true
	}
	if frame != nil {
		frame.Ingest = now
		p.inspector.Frame(frame)
	}
	return frame, tracksChanged, nil
}

func (p *program) takeVideo(m rawMessage) (*media.Frame, error) {
	t, err := parseVideoTag(m.body)
	if err != nil || t.kind == tagIgnored {
		return nil, err
	}
	if p.units == nil || p.unitsCodec != t.codec {
		p.units, p.unitsCodec = media.NewAccessUnits(t.codec), t.codec
	}
	if t.kind == tagConfig {
		return nil, p.configureVideo(t)
	}
	frame := p.assemble(t.data)
	if frame == nil {
		return nil, nil
	}
	p.setVideo(frame.Track)
	frame.DTS = p.line.at(media.Video, m.timestamp)
	frame.PTS = frame.DTS + max(t.cts, 0)
	if t.key {
		p.units.MarkRecovery(frame)
	}
	p.joins.Mark(frame)
	if frame.Key && !p.begun {
		p.begun, p.begin = true, frame.DTS
	}
	return frame, nil
}

// assemble makes a frame of an access unit; nil when it shows nothing, or cannot be read, which is counted.
func (p *program) assemble(au []byte) *media.Frame {
	units, err := media.SplitUnits(au, p.lengthSize)
	if err == nil {
		var frame *media.Frame
		if frame, err = p.units.Frame(units); err == nil {
			return frame
		}
	}
	p.damaged++
	return nil
}

func (p *program) configureVideo(t tag) error {
	parse := media.ParseAVCConfig
	if t.codec == media.H265 {
		parse = media.ParseHEVCConfig
	}
	config, err := parse(t.data)
	if err != nil {
		return fmt.Errorf("the %s sequence header cannot be read: %w", t.codec, err)
	}
	p.lengthSize = config.LengthSize
	if len(config.Sets) == 0 {
		return nil // they come with the key frames
	}
	if err := p.units.Configure(config.Sets); err != nil {
		return fmt.Errorf("the %s sequence header cannot be used: %w", t.codec, err)
	}
	p.setVideo(p.units.Track())
	return nil
}

func (p *program) setVideo(t *media.Track) {
	if p.video != t {
		p.video, p.settled = t, true
		p.inspector.Track(t)
	}
}

func (p *program) takeAudio(m rawMessage) (*media.Frame, error) {
	t, err := parseAudioTag(m.body)
	if err != nil || t.kind == tagIgnored {
		return nil, err
	}
	if t.kind == tagConfig {
		return nil, p.configureAudio(t)
	}
	if p.audio == nil || p.audio.Codec != t.codec {
		if t.codec != media.Opus { // AAC cannot be decoded without its header; Opus says all in its packets
			return nil, nil
		}
		// Bit 2 of the first byte of an Opus packet is set for stereo (RFC 6716, 3.1).
		if err := p.setAudio(media.NewOpusTrack(1 + int(t.data[0]>>2&1))); err != nil {
			return nil, err
		}
	}
	if !p.settled && p.stillWaitsForVideo(m.timestamp) {
		return nil, nil
	}
	at := p.line.at(media.Audio, m.timestamp)
	if p.video != nil && (!p.begun || at < p.begin) {
		return nil, nil
	}
	return &media.Frame{
		Track: p.audio,
		Key:   p.video == nil,
		DTS:   at,
		PTS:   at,
		Units: [][]byte{t.data},
		Size:  len(t.data),
	}, nil
}

// stillWaitsForVideo ends the wait for a video track when enough audio has come without one.
func (p *program) stillWaitsForVideo(stamp uint32) bool {
	if !p.sawAudio {
		p.sawAudio, p.firstAudio = true, stamp
	}
	if time.Duration(int32(stamp-p.firstAudio))*time.Millisecond < settleTime {
		return true
	}
	p.settled = true
	return false
}

func (p *program) configureAudio(t tag) error {
	if t.codec == media.AAC {
		if p.audio != nil && p.audio.Codec == media.AAC && bytes.Equal(p.audio.Config, t.data) {
			return nil // some encoders repeat it
		}
		return p.setAudio(media.NewAACTrack(t.data))
	}
	// The identification header of RFC 7845, 5.1; without it the packets tell.
	if len(t.data) < 10 || !bytes.HasPrefix(t.data, []byte("OpusHead")) {
		return nil
	}
	channels := int(t.data[9])
	if p.audio != nil && p.audio.Codec == media.Opus && p.audio.Channels == channels {
		return nil
	}
	return p.setAudio(media.NewOpusTrack(channels))
}

func (p *program) setAudio(t *media.Track, err error) error {
	if err != nil {
		return err
	}
	p.audio = t
	p.inspector.Track(t)
	return nil
}

// takeData looks into onMetaData for a source that says that it has no video, to let its audio start at once. What
// cannot be read is passed over: nothing depends on it.
func (p *program) takeData(body []byte) {
	data, err := amf0.Unmarshal(body)
	if err != nil {
		return
	}
	if len(data) > 0 && data[0] == "@setDataFrame" {
		data = data[1:]
	}
	if len(data) < 2 || data[0] != "onMetaData" {
		return
	}
	var fields amf0.Object
	switch o := data[1].(type) {
	case amf0.Object:
		fields = o
	case amf0.ECMAArray:
		fields = amf0.Object(o)
	}
	_, audio := fields.Get("audiocodecid")
	codec, video := fields.Get("videocodecid")
	_, width := fields.Get("width")
	if audio && !width && (!video || codec == float64(0)) {
		p.settled = true
	}
}
