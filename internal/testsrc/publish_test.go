package testsrc

import (
	"bytes"
	"context"
	"io"
	"net"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/millrace/millrace/internal/testkit"
)

// sink takes one connection and keeps what comes in, as a server for "tcp://" outputs of ffmpeg does.
func sink(t *testing.T) (url string, received <-chan []byte) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	out := make(chan []byte, 1)
	go func() {
		c, err := l.Accept()
		if err != nil {
			return
		}
		b, _ := io.ReadAll(c)
		out <- b
	}()
	return "tcp://" + l.Addr().String(), out
}

func await(t *testing.T, received <-chan []byte) []byte {
	t.Helper()
	select {
	case b := <-received:
		return b
	case <-time.After(testkit.Patience()):
		t.Fatal("ffmpeg's connection did not end")
		return nil
	}
}

func TestPublishEndsByItselfWithAWholeStream(t *testing.T) {
	ffmpeg := testkit.NeedFFmpeg(t)
	url, received := sink(t)
	before := time.Now()
	p, err := Publish(
		t.Context(),
		Options{URL: url, Width: 320, Height: 180, FPS: 25, Duration: 2 * time.Second, Audio: true, GOPSeconds: 0.4},
	)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), testkit.Patience())
	defer cancel()
	if err := p.Wait(ctx); err != nil {
		t.Fatalf("%v: %s", err, p.Output())
	}
	flv := await(t, received)

	decode := exec.CommandContext(
		t.Context(),
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
	decode.Stdin = bytes.NewReader(flv)
	pictures, err := decode.Output()
	if err != nil {
		t.Fatal(err)
	}
	const size = 320 * 180 * 3 / 2
	if len(pictures) != 50*size {
		t.Fatalf("%d pictures, want 50", len(pictures)/size)
	}
	last := before.Add(-time.Second)
	for i := range 50 {
		at, err := ReadBarcode(pictures[i*size:], 320, 320, 180)
		if err != nil || at.Before(last) || at.After(time.Now()) {
			t.Fatalf("picture %d: drawn at %v, %v; the one before at %v", i, at, err, last)
		}
		last = at
	}
	probe := exec.CommandContext(
		t.Context(),
		"ffprobe",
		"-loglevel",
		"error",
		"-f",
		"flv",
		"-show_entries",
		"stream=codec_name,has_b_frames",
		"-of",
		"csv=p=0",
		"-",
	)
	probe.Stdin = bytes.NewReader(flv)
	streams, err := probe.Output()
	if err != nil || !strings.Contains(string(streams), "h264,0") || !strings.Contains(string(streams), "aac") {
		t.Errorf("streams %s, %v", streams, err)
	}
}

func TestKillAndContextEndFFmpeg(t *testing.T) {
	testkit.NeedFFmpeg(t)
	for name, end := range map[string]func(p *Publisher, cancel func()){
		"kill":    func(p *Publisher, _ func()) { p.Kill() },
		"stop":    func(p *Publisher, _ func()) { p.Stop(testkit.Patience()) },
		"context": func(_ *Publisher, cancel func()) { cancel() },
	} {
		t.Run(name, func(t *testing.T) {
			url, _ := sink(t)
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			p, err := Publish(ctx, Options{URL: url, Width: 160, Height: 90})
			if err != nil {
				t.Fatal(err)
			}
			end(p, cancel)
			select {
			case <-p.Done():
			case <-time.After(testkit.Patience()):
				t.Fatal("ffmpeg goes on")
			}
		})
	}
}

func TestPublishSaysWhatIsWrong(t *testing.T) {
	if _, err := Publish(t.Context(), Options{URL: "tcp://127.0.0.1:1", FFmpeg: "no-such-ffmpeg"}); err == nil ||
		!strings.Contains(err.Error(), "apt-get install -y ffmpeg") {
		t.Errorf("without ffmpeg: %v", err)
	}
	if _, err := Publish(t.Context(), Options{URL: "tcp://127.0.0.1:1", Width: 3, Height: 3}); err == nil {
		t.Error("a picture of 3x3 was accepted")
	}
	testkit.NeedFFmpeg(t)
	p, err := Publish(t.Context(), Options{URL: "tcp://127.0.0.1:1"}) // nobody listens there
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), testkit.Patience())
	defer cancel()
	if err := p.Wait(ctx); err == nil || !strings.Contains(err.Error(), "Connection refused") {
		t.Errorf("with nobody to publish to: %v", err)
	}
}
