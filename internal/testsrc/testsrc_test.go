package testsrc

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os/exec"
	"testing"
	"time"

	"github.com/millrace/millrace/internal/testkit"
)

func TestBarcodeOfADrawnPictureGivesItsTime(t *testing.T) {
	for _, size := range [][2]int{{160, 90}, {320, 180}, {512, 288}, {640, 360}, {854, 480}, {1280, 720}, {1920, 1080},
		{720, 1280}} {
		p, err := NewPicture(size[0], size[1], 6)
		if err != nil {
			t.Fatal(err)
		}
		frame := make([]byte, p.FrameSize())
		for _, ms := range []int64{0, 1, 1735689600123, 1<<48 - 1} {
			p.Draw(frame, time.Second, time.UnixMilli(ms))
			got, err := ReadBarcode(frame, size[0], size[0], size[1])
			if err != nil || got.UnixMilli() != ms {
				t.Errorf("%dx%d: read %d, %v; drawn %d", size[0], size[1], got.UnixMilli(), err, ms)
			}
		}
	}
}

func TestBarcodeRefusesOtherPictures(t *testing.T) {
	p, _ := NewPicture(640, 360, 0)
	frame := make([]byte, p.FrameSize())
	if _, err := ReadBarcode(frame, 640, 640, 360); !errors.Is(err, ErrNoBarcode) {
		t.Errorf("black picture: %v", err)
	}
	p.Draw(frame, 0, time.UnixMilli(1735689600123))
	for x := 0; x < 20; x++ { // turn the first cell of the second row
		for y := 20; y < 40; y++ {
			frame[y*640+x] = 251 - frame[y*640+x]
		}
	}
	if _, err := ReadBarcode(frame, 640, 640, 360); !errors.Is(err, ErrBadBarcode) {
		t.Errorf("damaged picture: %v", err)
	}
	if _, err := ReadBarcode(frame[:100], 640, 640, 360); !errors.Is(err, ErrNoBarcode) {
		t.Errorf("short plane: %v", err)
	}
}

func TestBarcodeSurvivesH264AndScaling(t *testing.T) {
	ffmpeg := testkit.NeedFFmpeg(t)
	p, _ := NewPicture(640, 360, 6)
	var raw bytes.Buffer
	frame := make([]byte, p.FrameSize())
	var want []int64
	for n := range 45 {
		ms := int64(1735689600000 + 33*n)
		p.Draw(frame, time.Duration(n)*33*time.Millisecond, time.UnixMilli(ms))
		raw.Write(frame)
		want = append(want, ms)
	}
	encode := exec.Command(
		ffmpeg,
		"-loglevel",
		"error",
		"-f",
		"rawvideo",
		"-pix_fmt",
		"yuv420p",
		"-s",
		"640x360",
		"-r",
		"30",
		"-i",
		"-",
		"-c:v",
		"libx264",
		"-preset",
		"veryfast",
		"-tune",
		"zerolatency",
		"-b:v",
		"300k",
		"-maxrate",
		"300k",
		"-bufsize",
		"100k",
		"-g",
		"30",
		"-f",
		"h264",
		"-",
	)
	encode.Stdin = &raw
	h264, err := encode.Output()
	if err != nil {
		t.Fatal(err)
	}
	decode := exec.Command(
		ffmpeg,
		"-loglevel",
		"error",
		"-f",
		"h264",
		"-i",
		"-",
		"-vf",
		"scale=426:240",
		"-f",
		"rawvideo",
		"-pix_fmt",
		"yuv420p",
		"-",
	)
	decode.Stdin = bytes.NewReader(h264)
	out, err := decode.Output()
	if err != nil {
		t.Fatal(err)
	}
	size := 426 * 240 * 3 / 2
	if len(out) != len(want)*size {
		t.Fatalf("decoded %d bytes, want %d frames of %d", len(out), len(want), size)
	}
	for n, ms := range want {
		got, err := ReadBarcode(out[n*size:], 426, 426, 240)
		if err != nil || got.UnixMilli() != ms {
			t.Errorf("frame %d: read %v, %v; drawn %d", n, got.UnixMilli(), err, ms)
		}
	}
}

func TestStreamWritesInRealTimeAndEnds(t *testing.T) {
	p, _ := NewPicture(160, 90, 0)
	var out bytes.Buffer
	start := time.Now()
	if err := Stream(t.Context(), &out, p, 50, 200*time.Millisecond); err != nil {
		t.Fatal(err)
	}
	if n := out.Len() / p.FrameSize(); n != 10 {
		t.Errorf("wrote %d frames, want 10", n)
	}
	first, _ := ReadBarcode(out.Bytes(), 160, 160, 90)
	if first.Before(start.Truncate(time.Millisecond)) || first.After(time.Now()) {
		t.Errorf("the first frame was drawn at %v, not during the test", first)
	}
	ctx, cancel := context.WithCancelCause(t.Context())
	over := errors.New("over")
	cancel(over)
	if err := Stream(ctx, io.Discard, p, 50, 0); !errors.Is(err, over) {
		t.Errorf("ended context: %v", err)
	}
}

func TestPictureBounds(t *testing.T) {
	for _, size := range [][3]int{{0, 0, 0}, {641, 360, 0}, {640, 361, 0}, {5000, 360, 0}, {640, 360, 51},
		{640, 360, -1}} {
		if _, err := NewPicture(size[0], size[1], size[2]); err == nil {
			t.Errorf("%v was accepted", size)
		}
	}
}
