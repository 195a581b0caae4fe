package pull

import (
	"bytes"
	"fmt"

	"github.com/bluenviron/gortsplib/v4"
	"github.com/bluenviron/gortsplib/v4/pkg/description"
	"github.com/bluenviron/gortsplib/v4/pkg/format"
	"github.com/bluenviron/mediacommon/v2/pkg/codecs/mpeg4audio"
	"github.com/pion/rtcp"
	"github.com/pion/rtp"

	"github.com/millrace/millrace/dataplane/media"
)

// The dynamic payload types in use (RFC 3551, section 6).
const (
	videoPayload = 96
	audioPayload = 97
)

// sender makes RTP packets of the frames of one track for one session.
type sender struct {
	track  *media.Track
	media  *description.Media
	rate   int
	ssrc   uint32
	encode func(*media.Frame) ([]*rtp.Packet, error)

	packets, octets uint32
}

// newSender describes a track as RTSP does.
func newSender(t *media.Track) (*sender, error) {
	s := &sender{track: t}
	var (
		f   format.Format
		err error
	)
	switch t.Codec {
	case media.H264:
		one := &format.H264{PayloadTyp: videoPayload, PacketizationMode: 1, SPS: t.SPS, PPS: t.PPS}
		f, err = one, s.encodeWith(func() (unitEncoder, error) { return one.CreateEncoder() })
	case media.H265:
		one := &format.H265{PayloadTyp: videoPayload, VPS: t.VPS, SPS: t.SPS, PPS: t.PPS}
		f, err = one, s.encodeWith(func() (unitEncoder, error) { return one.CreateEncoder() })
	case media.AAC:
		config := &mpeg4audio.AudioSpecificConfig{}
		if err = config.Unmarshal(t.Config); err != nil {
			return nil, fmt.Errorf("reading the AudioSpecificConfig: %w", err)
		}
		one := &format.MPEG4Audio{
			PayloadTyp:       audioPayload,
			ProfileLevelID:   1,
			Config:           config,
			SizeLength:       13,
			IndexLength:      3,
			IndexDeltaLength: 3,
		}
		f, err = one, s.encodeWith(func() (unitEncoder, error) { return one.CreateEncoder() })
	case media.Opus:
		one := &format.Opus{PayloadTyp: audioPayload, ChannelCount: t.Channels}
		f = one
		encoder, problem := one.CreateEncoder()
		err = problem
		s.encode = func(f *media.Frame) ([]*rtp.Packet, error) {
			packet, err := encoder.Encode(f.Units[0])
			return []*rtp.Packet{packet}, err
		}
	default:
		return nil, fmt.Errorf("codec %s has no RTP format here", t.Codec)
	}
	if err != nil {
		return nil, fmt.Errorf("making an RTP packetiser for %s: %w", t.Codec, err)
	}
	kind := description.MediaTypeVideo
	if t.Codec.Kind() == media.Audio {
		kind = description.MediaTypeAudio
	}
	s.media = &description.Media{Type: kind, Formats: []format.Format{f}}
	s.rate = f.ClockRate()
	return s, nil
}

type unitEncoder interface {
	Encode(units [][]byte) ([]*rtp.Packet, error)
}

func (s *sender) encodeWith(create func() (unitEncoder, error)) error {
	encoder, err := create()
	s.encode = func(f *media.Frame) ([]*rtp.Packet, error) { return encoder.Encode(f.Units) }
	return err
}

// fits reports whether a frame can go out as the session was told. Parameter sets of video travel with each key frame
// and may change; what the session negotiated may not.
func (s *sender) fits(t *media.Track) bool {
	if t == s.track {
		return true
	}
	return t.Codec == s.track.Codec && t.SampleRate == s.track.SampleRate && t.Channels == s.track.Channels &&
		bytes.Equal(t.Config, s.track.Config)
}

// identify takes the SSRC that the session was told.
func (s *sender) identify(all *gortsplib.ServerStreamStats) {
	s.ssrc = all.Medias[s.media].Formats[s.media.Formats[0]].LocalSSRC
}

// report is the sender report for a frame's place in time (RFC 3550, section 6.4.1).
func (s *sender) report(w *wall, f *media.Frame) *rtcp.SenderReport {
	return &rtcp.SenderReport{
		SSRC: s.ssrc, NTPTime: toNTP(w.zero.Add(f.PTS)), RTPTime: ticks(f.PTS, s.rate), PacketCount: s.packets,
		OctetCount: s.octets,
	}
}
