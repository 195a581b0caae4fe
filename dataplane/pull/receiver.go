package pull

import (
	"bytes"
	"fmt"
	"time"

	"github.com/bluenviron/gortsplib/v4/pkg/description"
	"github.com/bluenviron/gortsplib/v4/pkg/format"
	"github.com/bluenviron/mediacommon/v2/pkg/codecs/h264"
	"github.com/bluenviron/mediacommon/v2/pkg/codecs/h265"
	"github.com/pion/rtp"

	"github.com/millrace/millrace/dataplane/media"
)

// receiver makes frames of the RTP packets of one track. It is used by one goroutine.
type receiver struct {
	media  *description.Media
	format format.Format
	codec  media.Codec
	clock  trackClock
	ended  bool // BYE came

	track *media.Track // of video nil until its parameter sets are known
	alone bool         // there is no video beside it, so each frame is a place to join

	decode func(*rtp.Packet) ([][]byte, error) // access unit of video, or frames of audio

	// Video.
	units *media.AccessUnits
	dts   interface {
		Extract(units [][]byte, pts int64) (int64, error)
	}
	joins   media.Joins
	lastDTS time.Duration
	behind  time.Duration // how far pictures were shown behind others that were decoded before them, by PTS alone
	started bool

	step time.Duration // of audio: from one frame of a packet to the next
}

// newReceiver makes a receiver for a format that is carried; nil when it is not.
func newReceiver(m *description.Media, f format.Format) (*receiver, error) {
	r := &receiver{media: m, format: f, clock: trackClock{rate: f.ClockRate()}}
	var err error
	switch f := f.(type) {
	case *format.H264:
		r.codec = media.H264
		err = r.video([][]byte{f.SPS, f.PPS})
	case *format.H265:
		r.codec = media.H265
		err = r.video([][]byte{f.VPS, f.SPS, f.PPS})
	case *format.MPEG4Audio:
		r.codec = media.AAC
		var config []byte
		if config, err = f.Config.Marshal(); err != nil {
			break
		}
		if r.track, err = media.NewAACTrack(config); err != nil {
			break
		}
		decoder, problem := f.CreateDecoder()
		err = problem
		r.decode = func(p *rtp.Packet) ([][]byte, error) { return decoder.Decode(p) }
		r.step = duration(1024, r.clock.rate) // ISO/IEC 14496-3, 4.5.1.1: frames of 1024 samples
	case *format.Opus:
		r.codec = media.Opus
		r.track, err = media.NewOpusTrack(f.ChannelCount)
		r.decode = func(p *rtp.Packet) ([][]byte, error) { return [][]byte{p.Payload}, nil }
	default:
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("reading the description of %s: %w", r.codec, err)
	}
	return r, nil
}

func (r *receiver) video(sets [][]byte) error {
	r.units = media.NewAccessUnits(r.codec)
	r.decode = (&depacketiser{codec: r.codec}).take
	r.restart()
	for _, one := range sets {
		if len(one) == 0 {
			return nil // they come with the key frames
		}
	}
	err := r.units.Configure(sets)
	r.track = r.units.Track()
	return err
}

// restart forgets the order of pictures; the next key frame begins a new one.
func (r *receiver) restart() {
	if r.codec == media.H265 {
		one := &h265.DTSExtractor{}
		one.Initialize()
		r.dts = one
		return
	}
	one := &h264.DTSExtractor{}
	one.Initialize()
	r.dts = one
}

// take returns the frames that a packet completes. An error is damage that does not end the stream.
func (r *receiver) take(t *timeline, p *rtp.Packet, now time.Time) ([]*media.Frame, error) {
	units, err := r.decode(p)
	pts, ingest := t.at(&r.clock, p.Timestamp, now)
	if err != nil || len(units) == 0 {
		return nil, err
	}
	if ingest.IsZero() {
		ingest = now
	}
	if r.codec.Kind() == media.Audio {
		return r.sound(units, pts, ingest), nil
	}
	f, err := r.picture(units, pts)
	if f == nil || err != nil {
		return nil, err
	}
	f.Ingest = ingest.Add(f.DTS - f.PTS) // the reports tell it by PTS
	return []*media.Frame{f}, nil
}

func (r *receiver) sound(units [][]byte, pts time.Duration, ingest time.Time) []*media.Frame {
	frames := make([]*media.Frame, 0, len(units))
	for i, unit := range units {
		if len(unit) == 0 {
			continue
		}
		at := pts + time.Duration(i)*r.step
		if r.started && at < r.lastDTS {
			at = r.lastDTS
		}
		r.started, r.lastDTS = true, at
		frames = append(frames, &media.Frame{
			Track: r.track, Key: r.alone, PTS: at, DTS: at, Ingest: ingest.Add(at - pts), Units: [][]byte{bytes.Clone(unit)},
			Size: len(unit),
		})
	}
	return frames
}

// mostBehind bounds the reordering that is read off PTS.
const mostBehind = time.Second

// picture makes a frame of an access unit. RTP carries no DTS: it is read off the order of the pictures.
func (r *receiver) picture(units [][]byte, pts time.Duration) (*media.Frame, error) {
	f, err := r.units.Frame(units)
	if f == nil || err != nil {
		return nil, err
	}
	r.track = f.Track
	f.PTS, f.DTS = pts, pts
	if n, err := r.dts.Extract(f.Units, int64(pts)*9/100_000); err != nil { // it counts in units of 90 kHz
		r.restart() // a picture order that it does not know; PTS is right all the same
		if r.started {
			r.behind = min(max(r.behind, r.lastDTS-pts), mostBehind)
		}
		f.DTS = pts - r.behind
	} else {
		f.DTS = min(duration(n, r.clock.rate), pts)
	}
	if r.started && f.DTS < r.lastDTS {
		f.DTS = r.lastDTS
	}
	r.started, r.lastDTS = true, f.DTS
	r.joins.Mark(f)
	return f, nil
}
