package mux

import (
	"bytes"
	"fmt"
	"time"

	"github.com/bluenviron/mediacommon/v2/pkg/codecs/mpeg4audio"
	"github.com/bluenviron/mediacommon/v2/pkg/formats/mpegts"
	"github.com/bluenviron/mediacommon/v2/pkg/formats/mpegts/codecs"
	"github.com/bluenviron/mediacommon/v2/pkg/formats/mpegts/substructs"

	"github.com/millrace/millrace/dataplane/media"
)

// tsStart is added to all time stamps: the clock reference runs 100 ms ahead of them and must not be below zero.
const tsStart = 10 * time.Second

// TS makes MPEG-TS (ISO/IEC 13818-1).
type TS struct {
	out          bytes.Buffer
	w            *mpegts.Writer
	video, audio *mpegts.Track
}

// NewTS returns an empty TS.
func NewTS() *TS { return &TS{} }

// Init begins a program; there is no initialisation segment, the tables stand in front of each key frame.
func (p *TS) Init(video, audio *media.Track) ([]byte, error) {
	p.video, p.audio = nil, nil
	var tracks []*mpegts.Track
	if video != nil {
		p.video = &mpegts.Track{PID: 256, Codec: &codecs.H264{}}
		if video.Codec == media.H265 {
			p.video.Codec = &codecs.H265{}
		}
		tracks = append(tracks, p.video)
	}
	if audio != nil {
		p.audio = &mpegts.Track{PID: 257}
		if audio.Codec == media.Opus {
			p.audio.Codec = &codecs.Opus{Desc: &substructs.OpusAudioDescriptor{ChannelConfigCode: uint8(audio.Channels)}}
		} else {
			var c mpeg4audio.AudioSpecificConfig
			if err := c.Unmarshal(audio.Config); err != nil {
				return nil, fmt.Errorf("reading the AudioSpecificConfig: %w", err)
			}
			p.audio.Codec = &codecs.MPEG4Audio{Config: c}
		}
		tracks = append(tracks, p.audio)
	}
	p.w = &mpegts.Writer{W: &p.out, Tracks: tracks}
	if err := p.w.Initialize(); err != nil {
		return nil, fmt.Errorf("beginning MPEG-TS: %w", err)
	}
	return nil, nil
}

// Size is about the number of bytes that the part has so far.
func (p *TS) Size() int { return p.out.Len() }

// stamp is a time on the 33 bits of the 90 kHz clock.
func stamp(d time.Duration) int64 { return ticks(d+tsStart, videoScale) & (1<<33 - 1) }

// Add takes a frame and its duration into the part.
func (p *TS) Add(f *media.Frame, _ time.Duration) error {
	var err error
	switch f.Track.Codec {
	case media.H264:
		err = p.w.WriteH264(p.video, stamp(f.PTS), stamp(f.DTS), f.Units)
	case media.H265:
		err = p.w.WriteH265(p.video, stamp(f.PTS), stamp(f.DTS), f.Units)
	case media.AAC:
		if p.audio != nil {
			err = p.w.WriteMPEG4Audio(p.audio, stamp(f.PTS), f.Units)
		}
	case media.Opus:
		if p.audio != nil {
			err = p.w.WriteOpus(p.audio, stamp(f.PTS), f.Units)
		}
	}
	if err != nil {
		return fmt.Errorf("writing MPEG-TS: %w", err)
	}
	return nil
}

// Flush returns the bytes of the part, and begins the next.
func (p *TS) Flush() ([]byte, error) {
	b := bytes.Clone(p.out.Bytes())
	p.out.Reset()
	return b, nil
}
