package mux

import (
	"fmt"
	"time"

	"github.com/bluenviron/mediacommon/v2/pkg/codecs/h264"
	"github.com/bluenviron/mediacommon/v2/pkg/codecs/mpeg4audio"
	"github.com/bluenviron/mediacommon/v2/pkg/codecs/opus"
	"github.com/bluenviron/mediacommon/v2/pkg/formats/fmp4"
	"github.com/bluenviron/mediacommon/v2/pkg/formats/fmp4/seekablebuffer"
	"github.com/bluenviron/mediacommon/v2/pkg/formats/mp4/codecs"

	"github.com/millrace/millrace/dataplane/media"
)

const (
	videoTrack = 1
	audioTrack = 2
	videoScale = 90000

	// audioSlip is how far the count of samples may be from the time stamps before it is set anew: encoders' time stamps
	// are whole milliseconds, which players would hear as a rough edge at every frame.
	audioSlip = 40 * time.Millisecond
)

// FMP4 makes fragments of ISO/IEC 14496-12.
type FMP4 struct {
	sequence uint32
	bytes    int

	video     []*fmp4.Sample
	videoBase uint64

	audio      []*fmp4.Sample
	audioStart []int64 // in units of the sample rate, of each sample
	audioNext  int64   // where the next sample is due
	audioScale int64
	audioSpan  int64 // samples of a frame of AAC
	audioOn    bool
}

// NewFMP4 returns an empty FMP4.
func NewFMP4() *FMP4 { return &FMP4{} }

// Init returns the initialisation segment of the tracks in force.
func (p *FMP4) Init(video, audio *media.Track) ([]byte, error) {
	var in fmp4.Init
	if video != nil {
		t := &fmp4.InitTrack{ID: videoTrack, TimeScale: videoScale}
		if video.Codec == media.H265 {
			t.Codec = &codecs.H265{VPS: video.VPS, SPS: video.SPS, PPS: video.PPS}
		} else {
			t.Codec = &codecs.H264{SPS: video.SPS, PPS: video.PPS}
		}
		in.Tracks = append(in.Tracks, t)
	}
	p.audioScale, p.audioOn = 0, false
	p.audio, p.audioStart = nil, nil // what is left of the sound before has another scale
	if audio != nil {
		t := &fmp4.InitTrack{ID: audioTrack, TimeScale: uint32(audio.SampleRate)}
		p.audioScale = int64(audio.SampleRate)
		if audio.Codec == media.Opus {
			t.Codec = &codecs.Opus{ChannelCount: audio.Channels}
		} else {
			var c mpeg4audio.AudioSpecificConfig
			if err := c.Unmarshal(audio.Config); err != nil {
				return nil, fmt.Errorf("reading the AudioSpecificConfig: %w", err)
			}
			p.audioSpan = 1024
			if c.ExtensionSampleRate > c.SampleRate { // SBR doubles the rate (ISO/IEC 14496-3, 4.6.18)
				p.audioSpan = 1024 * int64(c.ExtensionSampleRate) / int64(c.SampleRate)
			}
			t.Codec = &codecs.MPEG4Audio{Config: c}
		}
		in.Tracks = append(in.Tracks, t)
	}
	var b seekablebuffer.Buffer
	if err := in.Marshal(&b); err != nil {
		return nil, fmt.Errorf("making the initialisation segment: %w", err)
	}
	if video != nil && !video.Aspect.Square() {
		return withAspect(b.Bytes(), video.Aspect)
	}
	return b.Bytes(), nil
}

// Size is about the number of bytes that the part has so far.
func (p *FMP4) Size() int { return p.bytes }

func ticks(d time.Duration, scale int64) int64 {
	return int64(d/time.Second)*scale + int64(d%time.Second)*scale/int64(time.Second)
}

// Add takes a frame and its duration into the part.
func (p *FMP4) Add(f *media.Frame, d time.Duration) error {
	if f.Kind() == media.Audio {
		p.addAudio(f)
		return nil
	}
	payload, err := h264.AVCC(f.Units).Marshal() // the same form for H.265
	if err != nil {
		return fmt.Errorf("joining the NAL units of a frame: %w", err)
	}
	at := ticks(f.DTS, videoScale)
	if len(p.video) == 0 {
		p.videoBase = uint64(max(at, 0))
	}
	p.video = append(p.video, &fmp4.Sample{
		// The end minus the beginning, both rounded, so that roundings do not add up.
		Duration:        uint32(ticks(f.DTS+d, videoScale) - at),
		PTSOffset:       int32(ticks(f.PTS, videoScale) - at),
		IsNonSyncSample: !f.Key,
		Payload:         payload,
	})
	p.bytes += len(payload)
	return nil
}

func (p *FMP4) addAudio(f *media.Frame) {
	if p.audioScale == 0 || len(f.Units) == 0 {
		return
	}
	span := p.audioSpan
	if f.Track.Codec == media.Opus {
		span = opus.PacketDuration2(f.Units[0])
	}
	at := ticks(f.DTS, p.audioScale)
	slip := at - p.audioNext
	if limit := ticks(audioSlip, p.audioScale); !p.audioOn || slip > limit || slip < -limit {
		p.audioNext, p.audioOn = max(at, 0), true
	}
	p.audio = append(p.audio, &fmp4.Sample{Duration: uint32(span), Payload: f.Units[0]})
	p.audioStart = append(p.audioStart, p.audioNext)
	p.audioNext += span
	p.bytes += f.Size
}

// Flush returns the bytes of the part, and begins the next.
func (p *FMP4) Flush() ([]byte, error) {
	part := fmp4.Part{SequenceNumber: p.sequence}
	p.sequence++
	if len(p.video) > 0 {
		part.Tracks = append(part.Tracks, &fmp4.PartTrack{ID: videoTrack, BaseTime: p.videoBase, Samples: p.video})
	}
	if len(p.audio) > 0 {
		for i := range len(p.audio) - 1 { // a gap makes the frame before it longer
			p.audio[i].Duration = uint32(max(p.audioStart[i+1]-p.audioStart[i], 0))
		}
		part.Tracks = append(
			part.Tracks,
			&fmp4.PartTrack{ID: audioTrack, BaseTime: uint64(p.audioStart[0]), Samples: p.audio},
		)
	}
	p.video, p.audio, p.audioStart, p.bytes = nil, nil, nil, 0
	if len(part.Tracks) == 0 {
		return nil, nil
	}
	var b seekablebuffer.Buffer
	if err := part.Marshal(&b); err != nil {
		return nil, fmt.Errorf("making a part: %w", err)
	}
	return b.Bytes(), nil
}
