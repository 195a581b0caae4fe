package media_test

import (
	"strings"
	"testing"
	"time"

	"github.com/millrace/millrace/dataplane/media"
)

const (
	sei264 = "\x06\x05\xff\x80\xdc\x45\xe9\xbd\xe6\xd9\x48\xb7\x96\x2c\xd8\x20\xd9\x23\xee\xefx264 - core 164 - options: cabac=1 keyint_min=12 "
	sei265 = "\x4e\x01\x05\xff\x80\x2c\xa2\xde\x09\xb5\x17\x47\xdb\xbb\x55\xa4\xfe\x7f\xc2\xfc\x4ex265 (build 199) - options: cpuid=1 min-keyint=25 "
)

// The GOP of a source that has shown one key frame, as a function of how long ago that was.
func TestInspectorBelievesTheEncoderWhenAKeyFrameIsOverdue(t *testing.T) {
	for name, c := range map[string]struct {
		sei    string
		frames int // of 40 ms, that is 25 per second
		want   time.Duration
	}{
		"not overdue":            {sei264 + "keyint=200 scenecut=40", 50, 49 * 40 * time.Millisecond},
		"overdue":                {sei264 + "keyint=200 scenecut=40", 51, 8 * time.Second},
		"at the end of the text": {sei264 + "keyint=200", 51, 8 * time.Second},
		"no bound":               {sei264 + "keyint=infinite scenecut=0", 51, 2 * time.Second},
		"beyond all reason":      {sei264 + "keyint=1234567 scenecut=0", 51, 2 * time.Second},
		"short":                  {sei264 + "keyint=25 scenecut=0", 51, 2 * time.Second},
		"nothing said":           {sei264, 51, 2 * time.Second},
		"of somebody else":       {strings.Replace(sei264, "\xdc\x45", "\xdc\x46", 1) + "keyint=200", 51, 2 * time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			in, v := media.NewInspector(), video(t)
			for i := range c.frames {
				f := frame(v, time.Duration(i)*40*time.Millisecond, i == 0)
				if i == 0 {
					f.Units = append([][]byte{[]byte(c.sei)}, f.Units...)
				}
				in.Frame(f)
			}
			if got := in.Facts(); got.GOP != c.want || in.GOP() != c.want || got.GOPKnown {
				t.Errorf("after %d frames the GOP is %s, known %t; want %s", c.frames, got.GOP, got.GOPKnown, c.want)
			}
		})
	}
}

// What is measured counts more than what the encoder says.
func TestInspectorForgetsWhatTheEncoderSaidWithTheSecondKeyFrame(t *testing.T) {
	in, v := media.NewInspector(), video(t)
	for i := range 120 {
		f := frame(v, time.Duration(i)*40*time.Millisecond, i == 0 || i == 60)
		if f.Key {
			f.Units = append([][]byte{[]byte(sei264 + "keyint=250")}, f.Units...)
		}
		in.Frame(f)
		if want := 2400 * time.Millisecond; i >= 60 && in.GOP() != want {
			t.Fatalf("after %d frames the GOP is %s, want %s", i+1, in.GOP(), want)
		}
	}
}

func TestInspectorReadsX265(t *testing.T) {
	in := media.NewInspector()
	v := &media.Track{Codec: media.H265}
	for i := range 51 {
		f := &media.Frame{Track: v, Key: i == 0, DTS: time.Duration(i) * 40 * time.Millisecond, Units: [][]byte{{2, 1, 0x80}}}
		if i == 0 {
			f.Units = [][]byte{[]byte(sei265 + "keyint=100 bframes=4"), {19 << 1, 1, 0x80}}
		}
		in.Frame(f)
	}
	if got := in.GOP(); got != 4*time.Second {
		t.Errorf("the GOP is %s", got)
	}
}
