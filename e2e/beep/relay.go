package beep

import (
	"context"
	"fmt"
	"io"
	"net/url"
	"time"

	"github.com/bluenviron/gortmplib"
	"github.com/bluenviron/gortmplib/pkg/codecs"
	"github.com/bluenviron/mediacommon/v2/pkg/codecs/h264"
	"github.com/bluenviron/mediacommon/v2/pkg/codecs/h265"
	"github.com/bluenviron/mediacommon/v2/pkg/codecs/mpeg4audio"

	"github.com/millrace/millrace/dataplane/transcode/nut"
)

// clock is that of the time stamps that orders of pictures are told in.
const clock = 90_000

// relay publishes H.265 and AAC, which come as NUT, by enhanced RTMP.
func relay(ctx context.Context, in io.Reader, to string) error {
	r, err := nut.NewReader(in)
	if err != nil {
		return fmt.Errorf("reading from ffmpeg: %w", err)
	}
	tracks := r.Tracks()
	if len(tracks) != 2 {
		return fmt.Errorf("ffmpeg made %d tracks, want picture and sound", len(tracks))
	}
	picture := &codecs.H265{}
	if err := sets(picture, tracks[0].Extra); err != nil {
		return err
	}
	var config mpeg4audio.AudioSpecificConfig
	if err := config.Unmarshal(tracks[1].Extra); err != nil {
		return fmt.Errorf("ffmpeg's description of its AAC: %w", err)
	}
	video, audio := &gortmplib.Track{Codec: picture}, &gortmplib.Track{Codec: &codecs.MPEG4Audio{Config: &config}}
	u, err := url.Parse(to)
	if err != nil {
		return fmt.Errorf("parsing %s: %w", to, err)
	}
	c := &gortmplib.Client{URL: u, Publish: true}
	if err := c.Initialize(ctx); err != nil {
		return fmt.Errorf("publishing to %s: %w", to, err)
	}
	defer c.Close()
	stop := context.AfterFunc(ctx, c.Close)
	defer stop()
	w := &gortmplib.Writer{Conn: c, Tracks: []*gortmplib.Track{video, audio}}
	if err := w.Initialize(); err != nil {
		return fmt.Errorf("publishing to %s: %w", to, err)
	}
	order := &h265.DTSExtractor{}
	order.Initialize()
	for {
		f, err := r.Next()
		if err != nil {
			return fmt.Errorf("reading from ffmpeg: %w", err)
		}
		t := tracks[f.Track]
		pts := time.Duration(f.PTS*t.Num)*time.Second/time.Duration(t.Den) + lead
		if f.Track == 1 {
			err = w.WriteMPEG4Audio(audio, pts, f.Data)
		} else {
			err = writePicture(w, video, picture, order, f.Data, pts)
		}
		if err != nil {
			return fmt.Errorf("publishing to %s: %w", to, err)
		}
	}
}

// lead is added to all time stamps: those of decoding begin below zero.
const lead = time.Second

func writePicture(
	w *gortmplib.Writer,
	video *gortmplib.Track,
	picture *codecs.H265,
	order *h265.DTSExtractor,
	data []byte,
	pts time.Duration,
) error {
	var units h264.AnnexB
	if err := units.Unmarshal(data); err != nil {
		return fmt.Errorf("an access unit of ffmpeg: %w", err)
	}
	au := [][]byte(units)
	if h265.IsRandomAccess(au) {
		au = append([][]byte{picture.VPS, picture.SPS, picture.PPS}, au...)
	}
	dts, err := order.Extract(au, int64(pts.Seconds()*clock+0.5))
	if err != nil {
		return fmt.Errorf("the order of pictures: %w", err)
	}
	return w.WriteH265(video, pts, time.Duration(dts)*time.Second/clock, units)
}

// sets takes the parameter sets out of what the encoder says of itself.
func sets(to *codecs.H265, extra []byte) error {
	var units h264.AnnexB
	if err := units.Unmarshal(extra); err != nil {
		return fmt.Errorf("the encoder's parameter sets: %w", err)
	}
	for _, u := range units {
		switch h265.NALUType((u[0] >> 1) & 0x3f) {
		case h265.NALUType_VPS_NUT:
			to.VPS = u
		case h265.NALUType_SPS_NUT:
			to.SPS = u
		case h265.NALUType_PPS_NUT:
			to.PPS = u
		}
	}
	return nil
}
