package viewer

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"strings"
	"sync"
	"time"

	"github.com/bluenviron/mediacommon/v2/pkg/codecs/h264"

	"github.com/millrace/millrace/dataplane/transcode/nut"
)

// Senses sees the flashes and hears the beeps of package beep in what a viewer got. Both are decoded by ffmpeg, each by
// a process of its own; each event keeps the RTP time stamp of its first picture or sample.
type Senses struct {
	ctx  context.Context //nolint:containedctx // the life of the decoders
	stop context.CancelFunc
	wg   sync.WaitGroup
	in   [2]chan Frame // pictures, sound

	mu      sync.Mutex
	flashes []int64
	beeps   []int64
	err     error
}

const queue = 4096 // frames; a decoder that is later is broken

// NewSenses starts. Close ends it.
func NewSenses(ctx context.Context) *Senses {
	s := &Senses{}
	s.ctx, s.stop = context.WithCancel(ctx)
	s.in[0], s.in[1] = make(chan Frame, queue), make(chan Frame, queue)
	s.wg.Go(s.see)
	s.wg.Go(s.hear)
	return s
}

// Take returns a frame; it never waits.
func (s *Senses) Take(f Frame) {
	in := s.in[1]
	if f.Video {
		in = s.in[0]
	}
	select {
	case in <- f:
	default:
		s.fail(fmt.Errorf("a decoder is %d frames late", queue))
	}
}

// Close ends the decoders.
func (s *Senses) Close() {
	s.stop()
	s.wg.Wait()
}

// Events returns the RTP time stamps of all flashes and beeps so far, and what went wrong.
func (s *Senses) Events() (flashes, beeps []int64, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]int64(nil), s.flashes...), append([]int64(nil), s.beeps...), s.err
}

func (s *Senses) fail(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.err == nil && s.ctx.Err() == nil {
		s.err = err
	}
}

// see decodes pictures to one of 4x4 grey pixels.
func (s *Senses) see() {
	var first Frame
	for !first.Key {
		select {
		case <-s.ctx.Done():
			return
		case first = <-s.in[0]:
		}
	}
	track := nut.Track{Class: nut.Video, FourCC: "H264", Num: 1, Den: VideoClock}
	var units h264.AnnexB
	if err := units.Unmarshal(first.Data); err != nil {
		s.fail(fmt.Errorf("the first picture: %w", err))
		return
	}
	for _, u := range units {
		switch h264.NALUType(u[0] & 0x1f) {
		case h264.NALUTypeSPS:
			var sps h264.SPS
			if err := sps.Unmarshal(u); err != nil {
				s.fail(fmt.Errorf("the first picture: %w", err))
				return
			}
			track.Width, track.Height = sps.Width(), sps.Height()
			track.Extra = append(append(track.Extra, 0, 0, 0, 1), u...)
		case h264.NALUTypePPS:
			track.Extra = append(append(track.Extra, 0, 0, 0, 1), u...)
		}
	}
	bright := false
	s.decode(
		track,
		first,
		s.in[0],
		[]string{"-vf", "scale=4:4:flags=area,format=gray", "-enc_time_base:v", "1:90000", "-c:v", "rawvideo"},
		func(pts int64, data []byte) {
			sum := 0
			for _, b := range data {
				sum += int(b)
			}
			was := bright
			if bright = sum/max(len(data), 1) > 200; bright && !was {
				s.event(&s.flashes, pts)
			}
		},
	)
}

// hear decodes sound to one channel of 16 bits.
func (s *Senses) hear() {
	var first Frame
	select {
	case <-s.ctx.Done():
		return
	case first = <-s.in[1]:
	}
	head := []byte("OpusHead\x01\x02\x00\x00\x80\xbb\x00\x00\x00\x00\x00")
	track := nut.Track{
		Class:      nut.Audio,
		FourCC:     "Opus",
		Num:        1,
		Den:        AudioClock,
		SampleRate: AudioClock,
		Channels:   2,
		Extra:      head,
	}
	const loud, quiet = 6000, AudioClock / 5
	silence := 0
	s.decode(track, first, s.in[1], []string{"-ac", "1", "-c:a", "pcm_s16le"}, func(pts int64, data []byte) {
		for i := 0; i+1 < len(data); i += 2 {
			v := int(int16(binary.LittleEndian.Uint16(data[i:])))
			if v < loud && v > -loud {
				silence++
				continue
			}
			if silence >= quiet {
				s.event(&s.beeps, pts+int64(i/2))
			}
			silence = 0
		}
	})
}

func (s *Senses) event(to *[]int64, pts int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	*to = append(*to, pts)
}

// decode runs one decoder until the end. The time stamps that it gives are those of RTP again.
func (s *Senses) decode(t nut.Track, first Frame, in <-chan Frame, how []string, on func(pts int64, data []byte)) {
	args := []string{
		"-hide_banner", "-nostats", "-nostdin", "-loglevel", "error", "-probesize", "32", "-analyzeduration", "0", "-threads",
		"1",
		"-f", "nut", "-i", "pipe:0", "-copyts", "-vsync", "passthrough",
	}
	args = append(
		append(args, how...),
		"-avoid_negative_ts",
		"disabled",
		"-write_index",
		"0",
		"-flush_packets",
		"1",
		"-f",
		"nut",
		"pipe:1",
	)
	cmd := exec.CommandContext(s.ctx, "ffmpeg", args...)
	cmd.WaitDelay = 2 * time.Second
	var said strings.Builder
	cmd.Stderr = &said
	stdin, err1 := cmd.StdinPipe()
	stdout, err2 := cmd.StdoutPipe()
	if err1 != nil || err2 != nil {
		s.fail(fmt.Errorf("making pipes to ffmpeg: %w, %w", err1, err2))
		return
	}
	if err := cmd.Start(); err != nil {
		s.fail(fmt.Errorf("starting ffmpeg: %w", err))
		return
	}
	base := first.Time
	var writing sync.WaitGroup
	writing.Go(func() {
		defer stdin.Close()
		w, err := nut.NewWriter(stdin, []nut.Track{t})
		for f := first; err == nil; {
			err = w.Write(nut.Frame{PTS: f.Time - base, Key: f.Key || !f.Video, Data: f.Data})
			select {
			case <-s.ctx.Done():
				return
			case f = <-in:
			}
		}
	})
	err := decoded(stdout, base, t.Den, on)
	broke := s.ctx.Err() == nil
	s.stop()
	writing.Wait()
	_ = cmd.Wait() // killed
	if broke {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.err = errors.Join(s.err, fmt.Errorf("decoding: %w: %s", err, said.String()))
	}
}

func decoded(out io.Reader, base, clock int64, on func(int64, []byte)) error {
	r, err := nut.NewReader(out)
	if err != nil {
		return fmt.Errorf("the decoder's output: %w", err)
	}
	for {
		f, err := r.Next()
		if err != nil {
			return fmt.Errorf("the decoder's output: %w", err)
		}
		t := r.Tracks()[f.Track]
		on(base+f.PTS*t.Num*clock/t.Den, f.Data)
	}
}
