package nut

import (
	"bytes"
	"errors"
	"io"
	"os/exec"
	"strings"
	"testing"

	"github.com/millrace/millrace/internal/testkit"
)

// ffmpeg runs it with an input and gives its output.
func ffmpeg(t testing.TB, in []byte, args ...string) []byte {
	t.Helper()
	testkit.NeedFFmpeg(t)
	cmd := exec.CommandContext(t.Context(), "ffmpeg", append([]string{"-hide_banner", "-loglevel", "warning"}, args...)...)
	var out, said bytes.Buffer
	cmd.Stdin, cmd.Stdout, cmd.Stderr = bytes.NewReader(in), &out, &said
	if err := cmd.Run(); err != nil {
		t.Fatalf("ffmpeg %s: %v\n%s", strings.Join(args, " "), err, &said)
	}
	return out.Bytes()
}

// sample is a NUT of ffmpeg's: 2 s of H.264 with B-frames and AAC.
func sample(t testing.TB) []byte {
	return ffmpeg(
		t,
		nil,
		"-f",
		"lavfi",
		"-i",
		"testsrc2=size=320x180:rate=25:duration=2",
		"-f",
		"lavfi",
		"-i",
		"sine=sample_rate=44100:duration=2",
		"-c:v",
		"libx264",
		"-bf",
		"2",
		"-g",
		"25",
		"-c:a",
		"aac",
		"-f",
		"nut",
		"pipe:1",
	)
}

func readAll(t testing.TB, b []byte) (*Reader, []Frame) {
	t.Helper()
	r, err := NewReader(bytes.NewReader(b))
	if err != nil {
		t.Fatal(err)
	}
	var frames []Frame
	for {
		f, err := r.Next()
		if errors.Is(err, io.EOF) {
			return r, frames
		}
		if err != nil {
			t.Fatal(err)
		}
		frames = append(frames, f)
	}
}

// ffmpeg decodes what the writer wrote of what the reader read exactly as it decodes its own file.
func TestRoundTripByFFmpeg(t *testing.T) {
	original := sample(t)
	r, frames := readAll(t, original)
	if len(r.Tracks()) != 2 || r.Tracks()[0].Width != 320 || r.Tracks()[1].SampleRate != 44100 ||
		len(r.Tracks()[0].Extra) == 0 {
		t.Fatalf("tracks %+v", r.Tracks())
	}
	var again bytes.Buffer
	w, err := NewWriter(&again, []Track{*r.Tracks()[0], *r.Tracks()[1]})
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range frames {
		if err := w.Write(f); err != nil {
			t.Fatal(err)
		}
	}
	sums := func(b []byte) string {
		return string(
			ffmpeg(t, b, "-f", "nut", "-i", "pipe:0", "-copyts", "-vsync", "passthrough", "-f", "framemd5", "pipe:1"),
		)
	}
	if was, is := sums(original), sums(again.Bytes()); was != is || strings.Count(is, "\n") < 100 {
		t.Errorf("ffmpeg reads something else in what the writer wrote:\n%s\nwant\n%s", is, was)
	}
	_, second := readAll(t, again.Bytes())
	if len(second) != len(frames) {
		t.Fatalf("%d frames, want %d", len(second), len(frames))
	}
	for i := range frames {
		if a, b := frames[i], second[i]; a.Track != b.Track || a.PTS != b.PTS || a.Key != b.Key ||
			!bytes.Equal(a.Data, b.Data) {
			t.Fatalf("frame %d differs", i)
		}
	}
}

func TestWriterRefusesWhatCannotBeWritten(t *testing.T) {
	if _, err := NewWriter(io.Discard, nil); err == nil {
		t.Error("no tracks are written")
	}
	w, err := NewWriter(io.Discard, []Track{{Class: Audio, FourCC: "Opus", Num: 1, Den: 48000}})
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range []Frame{{Track: 1}, {PTS: -1}, {Data: make([]byte, maxFrame+1)}} {
		if w.Write(f) == nil {
			t.Errorf("a frame of track %d at %d with %d bytes is written", f.Track, f.PTS, len(f.Data))
		}
	}
}

func TestDamageIsAnError(t *testing.T) {
	b := sample(t)
	for _, cut := range []int{3, 30, 200, len(b) / 2} {
		r, err := NewReader(bytes.NewReader(b[:cut]))
		for err == nil {
			_, err = r.Next()
		}
		if cut > 200 && errors.Is(err, io.EOF) {
			t.Errorf("cut at %d it ends properly", cut)
		}
	}
	broken := bytes.Clone(b)
	broken[len(fileID)+14] ^= 0x40
	if _, err := NewReader(bytes.NewReader(broken)); !errors.Is(err, ErrFormat) {
		t.Errorf("a damaged header: %v", err)
	}
}

func FuzzReader(f *testing.F) {
	var b bytes.Buffer
	w, err := NewWriter(
		&b,
		[]Track{
			{Class: Video, FourCC: "H264", Num: 1, Den: 90000, Width: 16, Height: 16},
			{Class: Audio, FourCC: "Opus", Num: 1, Den: 48000, SampleRate: 48000, Channels: 2},
		},
	)
	if err != nil {
		f.Fatal(err)
	}
	for i := range 3 {
		if err := w.Write(Frame{Track: i % 2, PTS: int64(i) * 960, Key: true, Data: []byte{1, 2, 3}}); err != nil {
			f.Fatal(err)
		}
	}
	f.Add(b.Bytes())
	f.Fuzz(func(_ *testing.T, b []byte) {
		r, err := NewReader(bytes.NewReader(b))
		for err == nil {
			_, err = r.Next()
		}
	})
}
