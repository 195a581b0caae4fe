package transcode

import (
	"slices"
	"syscall"
	"testing"
	"time"

	"github.com/millrace/millrace/dataplane/media"
	"github.com/millrace/millrace/dataplane/plan"
	"github.com/millrace/millrace/dataplane/testsrc"
)

// A picture that is passed through until its GOP turns out to be too long is encoded by another process. The sound goes on, a frame after the other. When
// that process is killed, frames may be missing; the others stay where they were to be.
func TestSoundGoesOnWhenPicturesAreEncodedAfterAll(t *testing.T) {
	t.Parallel()
	aac := origin()
	aac.ID, aac.AudioCodec = "aac", "AAC"
	for id, frame := range map[string]int64{"web": 960, "aac": 1024} {
		rate := int64(48000)
		if id == "aac" {
			rate = 44100
		}
		t.Run(id, func(t *testing.T) {
			t.Parallel()
			r := newRig(t, []plan.Template{origin(), aac}, nil)
			r.publish("a", testsrc.Options{Audio: true, GOPSeconds: 30, ExtraArgs: []string{"-ar", "44100"}})
			r.await("a")
			s := r.find("a_" + id)
			reader := s.NewReader()
			defer reader.Close()
			info := func() Info {
				list := r.trans.List()
				return list[slices.IndexFunc(list, func(i Info) bool { return i.Rendition == s.Key.String() })]
			}
			var last, frames, by int64 // by is how many are sure to be of the process that runs
			var passed int64
			killed := false
			for process := 1; process < 3 || by < 50; {
				f, err := reader.Next(t.Context())
				if err != nil {
					t.Fatal(err)
				}
				if f.Kind() == media.Video {
					continue
				}
				now := ticks(f.PTS, rate)
				if d := now - last; frames > 0 && (d != frame && !killed || d%frame != 0) {
					t.Fatalf("sound frame %d comes %d samples after the one before; frames have %d. Killed %t, %+v", frames, d, frame, killed, info())
				}
				last = now
				frames++
				by++
				i := info()
				if i.Starts == process {
					if process == 2 && by == 100 {
						if err := syscall.Kill(i.PID, syscall.SIGKILL); err != nil {
							t.Fatal(err)
						}
						killed = true
					}
					continue
				}
				if process == 1 {
					passed = frames
				}
				process, by = i.Starts, 0
			}
			if passed < 20 || info().Video != Encode {
				t.Fatalf("%d frames beside a picture that was passed through; %+v", passed, info())
			}
			t.Logf("%d frames of sound, %d of them beside a picture that was passed through", frames, passed)
		})
	}
}

// Where a pass takes up its source again.
func TestStart(t *testing.T) {
	const ms = time.Millisecond
	opus := Work{Video: Encode, Audio: Encode, AudioCodec: media.Opus, SampleRate: 48000}
	beside := opus
	beside.Video = Copy
	aac := opus
	aac.AudioCodec = media.AAC
	video := Work{Video: Encode, Audio: Copy}
	sound := func(from, to time.Duration) (out []*media.Frame) {
		track := &media.Track{Codec: media.AAC}
		for ; from <= to; from += 20 * ms {
			out = append(out, &media.Frame{Track: track, PTS: from, DTS: from})
		}
		return out
	}
	const shifted = 10 * 48000 // samples of timeShift
	for name, c := range map[string]struct {
		work               Work
		backlog            []*media.Frame
		edge, shown, heard time.Duration
		want               start
	}{
		"a rendition that begins":                      {opus, sound(0, 5000*ms), 5000 * ms, 0, 0, start{picture: 5000 * ms, heard: 4800 * ms}},
		"sound that begins beside a picture":           {beside, sound(0, 5000*ms), 5000 * ms, 0, 0, start{}},
		"nothing was lost":                             {opus, sound(0, 5000*ms), 5000 * ms, 4900 * ms, 4400 * ms, start{5000 * ms, 4350 * ms, shifted + 4420*48 + 312}},
		"beside a picture too":                         {beside, sound(0, 5000*ms), 5000 * ms, 4900 * ms, 4400 * ms, start{0, 4350 * ms, shifted + 4420*48 + 312}},
		"frames of another length":                     {aac, sound(0, 5000*ms), 5000 * ms, 4900 * ms, 4400 * ms, start{5000 * ms, 4350 * ms, shifted + 4400*48 + 2*1024}},
		"what is too old to be heard is left out":      {opus, sound(0, 5000*ms), 5000 * ms, 1000 * ms, 1000 * ms, start{5000 * ms, 4000 * ms, shifted + 4000*48 + 312}},
		"what is not there any more is left out":       {opus, sound(4755*ms, 5000*ms), 5000 * ms, 4400 * ms, 4400 * ms, start{5000 * ms, 4350 * ms, shifted + 4760*48 + 312}},
		"no sound is there":                            {opus, nil, 5000 * ms, 4400 * ms, 4400 * ms, start{5000 * ms, 4350 * ms, shifted + 5000*48 + 312}},
		"a picture beyond the edge is not shown again": {video, nil, 5000 * ms, 5010 * ms, 0, start{picture: 5011 * ms, heard: 4811 * ms}},
	} {
		if got := findStart(c.work, c.backlog, c.edge, c.shown, c.heard); got != c.want {
			t.Errorf("%s: %+v, want %+v", name, got, c.want)
		}
	}
}
