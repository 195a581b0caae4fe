package transcode

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
	"time"

	"github.com/bluenviron/mediacommon/v2/pkg/codecs/h264"
	"github.com/bluenviron/mediacommon/v2/pkg/codecs/mpeg4audio"

	"github.com/millrace/millrace/dataplane/media"
	"github.com/millrace/millrace/dataplane/transcode/nut"
)

// Units of time stamps on the way to ffmpeg, per second. RTMP's milliseconds and RTP's 90 kHz are exact in both.
const (
	videoClock = 90_000
	audioClock = 720_000
)

// aacTag is how NUT of ffmpeg's names AAC: the format tag of WAVE.
const aacTag = "\xff\x00\x00\x00"

var errExited = errors.New("ffmpeg ended")

// launch starts ffmpeg with a goroutine for each pipe.
func (p *pass) launch(ctx context.Context, cancel context.CancelCauseFunc, wg *sync.WaitGroup) error {
	s := p.session
	var err error
	p.process, err = s.t.spawner.run(
		s.tool.path, command(s.tool.encoder, p.work, p.from, s.t.opt.Threads), confine(s.tool.encoder, p.work, p.video))
	if err != nil {
		return err
	}
	s.t.metrics.starts.Inc()
	p.queue = make(chan nut.Frame, queueSize)
	inputs := p.inputs()
	wg.Go(func() { p.send(ctx, inputs) })
	if p.work.Video == Encode {
		wg.Go(func() { cancel(p.failed(p.pictures())) })
	}
	if p.work.Audio == Encode {
		wg.Go(func() { cancel(p.failed(p.sounds())) })
	}
	wg.Go(func() {
		select {
		case <-ctx.Done():
		case <-p.process.exited:
			cancel(p.failed(errExited))
		}
	})
	return nil
}

// send writes queued frames. A pipe that breaks is told by the end of the process.
func (p *pass) send(ctx context.Context, inputs []nut.Track) {
	defer func() { _ = p.process.stdin.Close() }()
	w, err := nut.NewWriter(p.process.stdin, inputs)
	for err == nil {
		select {
		case <-ctx.Done():
			return
		case f := <-p.queue:
			err = w.Write(f)
		}
	}
}

// inputs describes the tracks that ffmpeg gets.
func (p *pass) inputs() []nut.Track {
	var out []nut.Track
	if p.work.Video == Encode {
		t := nut.Track{
			Class:  nut.Video,
			FourCC: "H264",
			Num:    1,
			Den:    videoClock,
			Width:  p.video.Width,
			Height: p.video.Height,
		}
		sets := [][]byte{p.video.SPS, p.video.PPS}
		if p.video.Codec == media.H265 {
			t.FourCC, sets = "HEVC", [][]byte{p.video.VPS, p.video.SPS, p.video.PPS}
		}
		t.Extra = annexB(sets)
		if p.work.Reordered {
			t.Reorder = 2
		}
		p.trackOf[media.Video] = len(out)
		out = append(out, t)
	}
	if p.work.Audio == Encode {
		t := nut.Track{
			Class:      nut.Audio,
			FourCC:     aacTag,
			Num:        1,
			Den:        audioClock,
			SampleRate: p.audio.SampleRate,
			Channels:   p.audio.Channels,
			Extra:      p.audio.Config,
		}
		if p.audio.Codec == media.Opus {
			t.FourCC = "Opus"
		}
		p.trackOf[media.Audio] = len(out)
		out = append(out, t)
	}
	return out
}

// pictures publishes what comes out of the encoder of video.
func (p *pass) pictures() error {
	r, err := nut.NewReader(p.process.video)
	if err != nil {
		return noEnd(err)
	}
	units := media.NewAccessUnits(media.H264)
	if t := r.Tracks()[0]; len(t.Extra) > 0 {
		sets, err := splitAnnexB(t.Extra)
		if err != nil {
			return fmt.Errorf("the encoder's parameter sets: %w", err)
		}
		if err := units.Configure(sets); err != nil {
			return fmt.Errorf("the encoder's parameter sets: %w", err)
		}
	}
	order := &h264.DTSExtractor{}
	order.Initialize()
	for {
		n, err := r.Next()
		if err != nil {
			return noEnd(err)
		}
		split, err := splitAnnexB(n.Data)
		if err != nil {
			return fmt.Errorf("an access unit of the encoder: %w", err)
		}
		f, err := units.Frame(split)
		if err != nil {
			return fmt.Errorf("an access unit of the encoder: %w", err)
		}
		if f == nil {
			continue
		}
		t := r.Tracks()[0]
		f.PTS = duration(n.PTS*t.Num, t.Den) - timeShift
		f.DTS = f.PTS
		if p.work.BFrames {
			if dts, err := order.Extract(f.Units, int64(f.PTS)*9/100_000); err == nil {
				f.DTS = min(time.Duration(dts)*100_000/9, f.PTS)
			}
		}
		p.session.pub.tracks(f.Track, p.opusOrAAC)
		if err := p.put(f); err != nil {
			return err
		}
	}
}

// sounds publishes what comes out of the encoder of audio.
func (p *pass) sounds() error {
	r, err := nut.NewReader(p.process.audio)
	if err != nil {
		return noEnd(err)
	}
	for {
		n, err := r.Next()
		if err != nil {
			return noEnd(err)
		}
		t := r.Tracks()[0]
		pts := duration(n.PTS*t.Num, t.Den) - timeShift
		if pts <= p.from.published.dts[media.Audio] {
			continue
		}
		f := &media.Frame{
			Track: p.opusOrAAC,
			Key:   p.work.Video == None,
			PTS:   pts,
			DTS:   pts,
			Units: [][]byte{n.Data},
			Size:  len(n.Data),
		}
		if err := p.put(f); err != nil {
			return err
		}
	}
}

// put returns a frame its time of ingest, that of the source at the same moment, and publishes it.
func (p *pass) put(f *media.Frame) error {
	now := time.Now()
	f.Ingest = now
	if a, ok := p.clocks[f.Kind()].at(f.PTS); ok {
		f.Ingest = a.zero.Add(f.DTS)
		if f.PTS > p.edge && a.pts > p.edge {
			p.late(now.Sub(a.taken))
		}
	}
	p.fed.Store(0)
	return p.session.pub.write(f, true)
}

// late counts the time that a frame took on its way through here.
func (p *pass) late(d time.Duration) {
	p.session.t.metrics.added.Observe(d.Seconds())
	old := p.lateness.Load()
	if old == 0 {
		old = int64(d)
	}
	next := old + (int64(d)-old)/16
	p.lateness.Store(next)
	p.session.note(func(i *Info) { i.AddedMs = float64(next/100_000) / 10 })
}

// noEnd makes the end of a pipe an error: ffmpeg is never told to end.
func noEnd(err error) error {
	if errors.Is(err, io.EOF) {
		return errExited
	}
	return err
}

// aacTrack describes AAC-LC as ffmpeg's encoder makes it.
func aacTrack(rate, channels int) (*media.Track, error) {
	config, err := mpeg4audio.AudioSpecificConfig{
		Type:          mpeg4audio.ObjectTypeAACLC,
		SampleRate:    rate,
		ChannelConfig: uint8(channels),
	}.Marshal()
	if err != nil {
		return nil, fmt.Errorf("describing AAC at %d Hz: %w", rate, err)
	}
	return media.NewAACTrack(config)
}

// ticks converts a time to units of a clock, rounded.
func ticks(d time.Duration, clock int64) int64 {
	whole, part := int64(d/time.Second), int64(d%time.Second)
	return whole*clock + (part*clock+int64(time.Second)/2)/int64(time.Second)
}

// duration converts units of a clock to a time, rounded up: the RTP clock of the way out is then the same number, not
// one less.
func duration(n, clock int64) time.Duration {
	whole, part := n/clock, n%clock
	return time.Duration(whole)*time.Second + time.Duration((part*int64(time.Second)+clock-1)/clock)
}
