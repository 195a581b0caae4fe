package media_test

import (
	"strings"
	"testing"
	"time"

	"github.com/millrace/millrace/dataplane/media"
)

const sei264 = "\x06\x05\xff\x80\xdc\x45\xe9\xbd\xe6\xd9\x48\xb7\x96\x2c\xd8\x20\xd9\x23\xee\xefx264 - core 164 - " +
	"options: cabac=1 keyint_min=12 "

// The GOP of a source that has shown one key frame, as a function of how long ago that was.
func TestInspectorBelievesTheEncoderWhenAKeyFrameIsOverdue(t *testing.T) {
	for name, c := range map[string]struct {
		sei    string
		frames int // of 40 ms, that is 25 per second
		want   time.Duration
	}{
		// the last frame is 2.08 s behind the key frame
		"not overdue":               {sei264 + "keyint=200 scenecut=40", 53, 0},
		"overdue":                   {sei264 + "keyint=200 scenecut=40", 54, 8 * time.Second},
		"at the end of the text":    {sei264 + "keyint=200", 54, 8 * time.Second},
		"no bound":                  {sei264 + "keyint=infinite scenecut=0", 54, 0},
		"longer than anybody means": {sei264 + "keyint=9999 scenecut=0", 54, 0},
		"beyond all reason":         {sei264 + "keyint=1234567 scenecut=0", 54, 0},
		"nothing said":              {sei264, 54, 0},
		"of somebody else":          {strings.Replace(sei264, "\xdc\x45", "\xdc\x46", 1) + "keyint=200", 54, 0},
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
			measured := time.Duration(c.frames-1) * 40 * time.Millisecond
			got := in.Facts()
			if got.GOP != measured || got.AnnouncedGOP != c.want || got.GOPKnown {
				t.Errorf(
					"after %d frames: %s, announced %s, known %t; want %s announced",
					c.frames,
					got.GOP,
					got.AnnouncedGOP,
					got.GOPKnown,
					c.want,
				)
			}
			if want := max(measured, c.want); in.LikelyGOP() != want || got.LikelyGOP() != want {
				t.Errorf("after %d frames likely %s and %s, want %s", c.frames, in.LikelyGOP(), got.LikelyGOP(), want)
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
		if want := 2400 * time.Millisecond; i >= 60 && in.LikelyGOP() != want {
			t.Fatalf("after %d frames the GOP is %s, want %s", i+1, in.LikelyGOP(), want)
		}
	}
}
