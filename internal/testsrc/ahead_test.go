package testsrc

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/millrace/millrace/internal/testkit"
)

// arrival is when a connection had brought so much.
type arrival struct {
	size int // bytes so far
	at   time.Time
}

func TestALoopIsPublishedInStepWithTheClock(t *testing.T) {
	ffmpeg := testkit.NeedFFmpeg(t)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	type stream struct {
		flv      []byte
		arrivals []arrival
	}
	received := make(chan stream, 1)
	go func() {
		c, err := l.Accept()
		if err != nil {
			return
		}
		var s stream
		b := make([]byte, 1<<16)
		for {
			n, err := c.Read(b)
			s.flv = append(s.flv, b[:n]...)
			s.arrivals = append(s.arrivals, arrival{len(s.flv), time.Now()})
			if err != nil {
				received <- s
				return
			}
		}
	}()
	// Longer than the loop, so that its seam is in it.
	o := Options{
		URL:          "tcp://" + l.Addr().String(),
		Width:        320,
		Height:       180,
		FPS:          25,
		GOPSeconds:   0.4,
		Duration:     11 * time.Second,
		EncodedAhead: true,
	}
	length, err := o.LoopLength()
	if err != nil || length != 10*time.Second {
		t.Fatalf("a loop of %v, %v; want 10 s", length, err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), testkit.Patience())
	defer cancel()
	p, err := Publish(ctx, o)
	if err != nil {
		t.Fatal(err)
	}
	if err := p.Wait(ctx); err != nil {
		t.Fatalf("%v: %s", err, p.Output())
	}
	s := <-received

	decode := exec.CommandContext(
		ctx,
		ffmpeg,
		"-loglevel",
		"error",
		"-f",
		"flv",
		"-i",
		"-",
		"-map",
		"0:v",
		"-f",
		"rawvideo",
		"-pix_fmt",
		"yuv420p",
		"-",
	)
	decode.Stdin = bytes.NewReader(s.flv)
	pictures, err := decode.Output()
	if err != nil {
		t.Fatal(err)
	}
	const size, frames = 320 * 180 * 3 / 2, 25 * 11
	if len(pictures) != frames*size {
		t.Fatalf("%d pictures, want %d", len(pictures)/size, frames)
	}
	var got Loop
	if err := got.take(s.flv); err != nil || len(got.frames) != frames {
		t.Fatalf("%d frames, want %d; %v", len(got.frames), frames, err)
	}
	end, k, before := len(got.header), 0, time.Time{}
	for i, tag := range got.frames {
		end += len(tag)
		for s.arrivals[k].size < end-tagTrailer {
			k++
		}
		code, err := ReadBarcode(pictures[i*size:], 320, 320, 180)
		if err != nil {
			t.Fatalf("picture %d: %v", i, err)
		}
		due := DueAt(code, s.arrivals[k].at, length)
		if i > 0 && due.Sub(before) != 40*time.Millisecond {
			t.Fatalf("picture %d was due %v after the one before it, want 40 ms", i, due.Sub(before))
		}
		before = due
		if key := tag[tagHeader]>>4 == 1; key != (i%10 == 0) {
			t.Fatalf("picture %d: key frame %v, want one in ten and the first", i, key)
		}
		if ms := int(tag[4])<<16 | int(tag[5])<<8 | int(tag[6]); ms != i*40 {
			t.Fatalf("picture %d has the time stamp %d ms", i, ms)
		}
	}
}

func TestLoopsAreWholeGOPsAndWholeSeconds(t *testing.T) {
	for _, c := range []struct {
		fps     int
		gop     float64
		seconds int // 0: none
	}{{30, 3, 12}, {30, 2, 10}, {25, 0.4, 10}, {30, 0.7, 14}, {30, 20, 20}, {30, 61, 0}, {30, 10.0333, 0}, {241, 1, 0}} {
		length, err := Options{FPS: c.fps, GOPSeconds: c.gop}.LoopLength()
		if (err == nil) != (c.seconds > 0) || err == nil && length != time.Duration(c.seconds)*time.Second {
			t.Errorf("%d fps, key frames every %g s: %v, %v; want %d s", c.fps, c.gop, length, err, c.seconds)
		}
	}
}

func TestEncodeAheadSaysWhatIsWrong(t *testing.T) {
	for want, o := range map[string]Options{
		"leave the tone out":        {Audio: true},
		"give even numbers":         {Width: 3, Height: 3},
		"another distance":          {GOPSeconds: 61},
		"apt-get install -y ffmpeg": {FFmpeg: "no-such-ffmpeg"},
	} {
		if _, err := EncodeAhead(t.Context(), o); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%+v: %v, want %q", o, err, want)
		}
	}
	if err := (&Loop{}).take([]byte("FLV\x01\x01\x00\x00\x00\x09\x00\x00\x00\x00\x09\x00\x00\xff")); !errors.Is(
		err,
		io.ErrUnexpectedEOF,
	) {
		t.Errorf("a file that is cut off: %v", err)
	}
}
