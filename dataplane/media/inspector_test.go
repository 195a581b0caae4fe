package media_test

import (
	"math"
	"os/exec"
	"testing"
	"time"

	"github.com/bluenviron/mediacommon/v2/pkg/codecs/h264"

	"github.com/millrace/millrace/dataplane/media"
	"github.com/millrace/millrace/internal/testkit"
)

func video(t *testing.T) *media.Track {
	t.Helper()
	tr, err := media.NewH264Track(unhex(sps), unhex(pps))
	if err != nil {
		t.Fatal(err)
	}
	return tr
}

func frame(tr *media.Track, dts time.Duration, key bool) *media.Frame {
	header := byte(ref)
	if key {
		header = idr
	}
	return &media.Frame{Track: tr, Key: key, DTS: dts, PTS: dts, Units: [][]byte{unit(header, sliceP)}, Size: 5000}
}

func TestInspectorMeasuresRatesAndGOP(t *testing.T) {
	in := media.NewInspector()
	v := video(t)
	a, _ := media.NewOpusTrack(2)
	for i := range 250 { // 10 s at 25 frames per second, key frames 2 s apart
		dts := time.Duration(i) * 40 * time.Millisecond
		in.Frame(frame(v, dts, i%50 == 0))
		for j := range 2 {
			at := dts + time.Duration(j)*20*time.Millisecond
			in.Frame(&media.Frame{Track: a, DTS: at, PTS: at, Units: [][]byte{{1}}, Size: 160})
		}
	}
	f := in.Facts()
	if math.Abs(f.FPS-25) > 0.1 || f.GOP != 2*time.Second || f.VideoKbps != 1000 || f.AudioKbps != 64 || f.BFrames {
		t.Errorf("facts %+v", f)
	}
	if f.Width != 320 || f.Height != 180 || f.Profile != "High" || f.VideoCodec != media.H264 ||
		f.AudioCodec != media.Opus ||
		f.SampleRate != 48000 ||
		f.Channels != 2 {
		t.Errorf("facts %+v", f)
	}
}

func TestInspectorsGOPGrowsAndIsForgotten(t *testing.T) {
	in := media.NewInspector()
	v := video(t)
	dts := time.Duration(0)
	step := func(n int, key func(i int) bool) {
		for i := range n {
			in.Frame(frame(v, dts, key(i)))
			dts += 100 * time.Millisecond
		}
	}
	step(51, func(i int) bool { return i == 0 })
	if f := in.Facts(); f.GOP != 5*time.Second || f.GOPKnown {
		t.Errorf("without a second key frame after 5 s: %s, known %t", f.GOP, f.GOPKnown)
	}
	step(1, func(int) bool { return true })
	if !in.Facts().GOPKnown {
		t.Error("a second key frame makes no GOP known")
	}
	step(50, func(i int) bool { return i%10 == 9 })
	if g := in.Facts().GOP; g != 5100*time.Millisecond {
		t.Errorf("the longest of the last seconds: %s", g)
	}
	step(400, func(i int) bool { return i%10 == 9 })
	if g := in.Facts().GOP; g != time.Second {
		t.Errorf("40 s later: %s", g)
	}
}

// A source that is joined in the middle of a GOP: the distance to its first key frame is not that of two.
func TestInspectorCountsKeyFrames(t *testing.T) {
	in := media.NewInspector()
	v := video(t)
	for i := range 10 {
		in.Frame(frame(v, time.Duration(i)*100*time.Millisecond, i == 5 || i == 9))
		if known := in.Facts().GOPKnown; known != (i == 9) {
			t.Errorf("after frame %d known: %t", i, known)
		}
	}
}

func TestInspectorKnowsNothingTooEarly(t *testing.T) {
	in := media.NewInspector()
	if f := in.Facts(); f != (media.Facts{}) {
		t.Errorf("facts of nothing: %+v", f)
	}
	in.Frame(frame(video(t), 0, true))
	if f := in.Facts(); f.FPS != 0 || f.VideoKbps != 0 || f.Width != 320 {
		t.Errorf("facts of one frame: %+v", f)
	}
}

// What was told stands until it was measured, for a video of the same codec and size.
func TestInspectorBelievesUntilItKnows(t *testing.T) {
	told := media.Facts{
		VideoCodec:   media.H264,
		Width:        320,
		Height:       180,
		FPS:          25,
		VideoKbps:    1234,
		BFrames:      true,
		GOP:          4 * time.Second,
		GOPKnown:     true,
		AnnouncedGOP: time.Hour,
	}
	in := media.NewInspector()
	in.Told(told)
	v := video(t)
	in.Track(v)
	f := in.Facts()
	if f.FPS != 25 || f.VideoKbps != 1234 || !f.BFrames || f.GOP != 4*time.Second || !f.GOPKnown || f.AnnouncedGOP != 0 ||
		f.Profile != "High" {
		t.Errorf("before the first frame: %+v", f)
	}
	for i := range 21 {
		in.Frame(frame(v, time.Duration(i)*100*time.Millisecond, i%20 == 0))
		f := in.Facts()
		if i < 20 && (f.GOP != 4*time.Second || !f.BFrames) {
			t.Errorf("after %d frames: %+v", i+1, f)
		}
		if early := i < 10; early != (f.FPS == 25) || early != (f.VideoKbps == 1234) {
			t.Errorf("rates after %d frames: %+v", i+1, f)
		}
	}
	if f := in.Facts(); math.Abs(f.FPS-10) > 0.1 || f.GOP != 2*time.Second || f.BFrames {
		t.Errorf("after a whole GOP: %+v", f)
	}
	guess, other := told, told
	guess.GOPKnown = false
	other.Width = 640
	for name, c := range map[string]struct {
		told media.Facts
		fps  float64
	}{"no GOP": {guess, 25}, "another size": {other, 0}} {
		in := media.NewInspector()
		in.Told(c.told)
		in.Track(v)
		if f := in.Facts(); f.FPS != c.fps || f.GOP != 0 || f.GOPKnown {
			t.Errorf("%s: %+v", name, f)
		}
	}
}

func TestInspectorSeesBFrames(t *testing.T) {
	v := video(t)
	for name, c := range map[string]struct {
		slice byte
		pts   []int // ms, behind DTS of 0, 40, 80, ...
		want  bool
	}{
		"P only":                {sliceP, []int{0, 0, 0}, false},
		"a constant offset":     {sliceP, []int{80, 80, 80}, false},
		"another order":         {sliceP, []int{80, 160, 40}, true},
		"B slices":              {sliceB, []int{0, 0, 0}, true},
		"B slices only, type 6": {sliceB6, []int{0, 0, 0}, true},
	} {
		t.Run(name, func(t *testing.T) {
			in := media.NewInspector()
			for i, offset := range c.pts {
				f := frame(v, time.Duration(i)*40*time.Millisecond, i == 0)
				f.PTS = f.DTS + time.Duration(offset)*time.Millisecond
				if i > 0 {
					f.Units = [][]byte{unit(ref, c.slice)}
				}
				in.Frame(f)
			}
			if in.BFrames() != c.want || in.Facts().BFrames != c.want {
				t.Errorf("B-frames %v, want %v", in.BFrames(), c.want)
			}
		})
	}
}

func TestInspectorForgetsBFramesWithTheTrack(t *testing.T) {
	in := media.NewInspector()
	f := frame(video(t), 0, false)
	f.Units = [][]byte{unit(ref, sliceB)}
	in.Frame(f)
	in.Frame(frame(video(t), time.Second, true))
	if in.BFrames() {
		t.Error("the new track has B-frames")
	}
}

func TestInspectorAllocatesNothingPerFrame(t *testing.T) {
	in := media.NewInspector()
	f := frame(video(t), 0, false)
	if n := testing.AllocsPerRun(1000, func() { f.DTS += time.Millisecond; f.PTS = f.DTS; in.Frame(f) }); n != 0 {
		t.Errorf("%v allocations per frame", n)
	}
}

// TestRealStreams holds the parsers against what x264 makes; the slice types alone tell the B-frames here.
func TestRealStreams(t *testing.T) {
	testkit.NeedFFmpeg(t)
	for name, c := range map[string]struct {
		args       []string
		profile    string
		b          bool
		disposable bool
	}{
		"baseline":       {[]string{"-profile:v", "baseline"}, "Constrained Baseline", false, false},
		"main without B": {[]string{"-profile:v", "main", "-bf", "0"}, "Main", false, false},
		"high with B":    {[]string{"-profile:v", "high", "-bf", "2"}, "High", true, true},
		"slices, AUD, filler": {[]string{"-bf", "0", "-x264-params", "slices=3:aud=1:nal-hrd=cbr:filler=1", "-b:v", "500k",
			"-maxrate", "500k", "-bufsize", "500k"}, "High", false, false},
		"B as reference": {[]string{"-bf", "3", "-x264-params", "b-pyramid=normal"}, "High", true, true},
	} {
		t.Run(name, func(t *testing.T) {
			args := append(
				[]string{
					"-v",
					"error",
					"-f",
					"lavfi",
					"-i",
					"testsrc2=size=320x180:rate=25",
					"-frames:v",
					"50",
					"-pix_fmt",
					"yuv420p",
					"-c:v",
					"libx264",
					"-threads",
					"1",
				},
				c.args...)
			out, err := exec.CommandContext(t.Context(), "ffmpeg", append(args, "-g", "25", "-f", "h264", "-")...).Output()
			if err != nil {
				t.Fatal(err)
			}
			a, in := media.NewAccessUnits(media.H264), media.NewInspector()
			keys, disposable, frames := 0, 0, 0
			for _, units := range accessUnits(t, out) {
				f, err := a.Frame(units)
				if err != nil {
					t.Fatal(err)
				}
				if f == nil {
					continue
				}
				f.DTS = time.Duration(frames) * 40 * time.Millisecond
				f.PTS = f.DTS
				in.Frame(f)
				frames++
				if f.Key {
					keys++
					if f.Units[0][0]&0x1F != 7 || f.Units[1][0]&0x1F != 8 {
						t.Errorf("a key frame begins with type %d", f.Units[0][0]&0x1F)
					}
				}
				if f.Disposable {
					disposable++
				}
			}
			facts := in.Facts()
			if frames != 50 || keys < 2 || facts.Profile != c.profile || facts.BFrames != c.b ||
				(disposable > 0) != c.disposable ||
				facts.Width != 320 ||
				facts.Height != 180 {
				t.Errorf("%d frames, %d keys, %d disposable, %+v", frames, keys, disposable, facts)
			}
		})
	}
}

// accessUnits cuts a byte stream (ITU-T H.264, annex B): a new access unit begins at a delimiter, a parameter set, SEI,
// or the first slice of a picture when the one before had a slice.
func accessUnits(t *testing.T, stream []byte) [][][]byte {
	t.Helper()
	var out [][][]byte
	var cur [][]byte
	slice := false
	for _, u := range splitAnnexB(stream) {
		typ := h264.NALUType(u[0] & 0x1F)
		isSlice := typ == h264.NALUTypeNonIDR || typ == h264.NALUTypeIDR
		first := isSlice && u[1]&0x80 != 0 // first_mb_in_slice 0
		if slice && (first || !isSlice && typ != h264.NALUTypeFillerData) {
			out, cur, slice = append(out, cur), nil, false
		}
		cur = append(cur, u)
		slice = slice || isSlice
	}
	return append(out, cur)
}

func splitAnnexB(b []byte) [][]byte {
	var out [][]byte
	start := -1
	for i := 0; i+2 < len(b); i++ {
		if b[i] != 0 || b[i+1] != 0 || b[i+2] != 1 {
			continue
		}
		if start >= 0 {
			end := i
			for end > start && b[end-1] == 0 {
				end--
			}
			out = append(out, b[start:end:end])
		}
		start = i + 3
		i += 2
	}
	return append(out, b[start:])
}
