package transcode

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"math"
	"os"
	"os/exec"
	"slices"
	"syscall"
	"testing"
	"time"

	"github.com/millrace/millrace/dataplane/hub"
	"github.com/millrace/millrace/dataplane/media"
	"github.com/millrace/millrace/dataplane/transcode/nut"
	"github.com/millrace/millrace/internal/contract/plan"
	"github.com/millrace/millrace/internal/testkit"
	"github.com/millrace/millrace/internal/testsrc"
)

// takeover follows a rendition until a process has followed each of those that were killed, by number, and given some
// frames of sound. It gives the frames.
func (r *rig) takeover(s *hub.Stream, kill ...int) []*media.Frame {
	r.t.Helper()
	ctx, cancel := context.WithTimeout(r.t.Context(), 2*testkit.Patience())
	defer cancel()
	reader := s.NewReader()
	defer reader.Close()
	var all []*media.Frame
	for process, sounds := 1, 0; ; {
		f, err := reader.Next(ctx)
		if err != nil {
			r.t.Fatalf("%v after %d frames; process %d, %+v", err, len(all), process, r.info(s))
		}
		all = append(all, f)
		if f.Kind() != media.Audio {
			continue
		}
		if i := r.info(s); i.Starts != process {
			process, sounds = i.Starts, 0
		} else if sounds++; sounds == 50 {
			if !slices.Contains(kill, process) {
				if process > slices.Max(kill) {
					return all
				}
			} else if i.PID <= 0 {
				r.t.Fatalf("no process: %+v", i)
			} else if err := syscall.Kill(i.PID, syscall.SIGKILL); err != nil {
				r.t.Fatal(err)
			}
		}
	}
}

func (r *rig) info(s *hub.Stream) Info {
	r.t.Helper()
	for _, i := range r.trans.List() {
		if i.Rendition == s.Key.String() {
			return i
		}
	}
	r.t.Fatalf("%s is not made any more", s.Key)
	return Info{}
}

// A picture that is passed through until its GOP turns out to be too long is encoded by another process. The sound goes
// on, a frame after the other. When that process is killed, frames may be missing; the others stay where they were to
// be.
func TestSoundGoesOnWhenPicturesAreEncodedAfterAll(t *testing.T) {
	t.Parallel()
	aac := origin()
	aac.ID, aac.AudioCodec = "aac", "AAC"
	for id, c := range map[string]struct{ rate, frame int64 }{"web": {48000, 960}, "aac": {44100, 1024}} {
		t.Run(id, func(t *testing.T) {
			t.Parallel()
			r := newRig(t, []plan.Template{origin(), aac}, nil)
			var s *hub.Stream
			var source *testsrc.Publisher
			// else it was found when its GOP was known to be long, by a machine that is slow
			for n := 0; s == nil || r.info(s).Video != Copy; n++ {
				if n == 5 {
					t.Fatalf("the picture is not passed through at first: %+v", r.info(s))
				}
				name := fmt.Sprintf("a%d", n)
				if n > 0 {
					source.Kill()
				}
				source = r.publish(name, testsrc.Options{Audio: true, GOPSeconds: 30, ExtraArgs: []string{"-ar", "44100"}})
				r.await(name)
				s = r.find(name + "_" + id)
			}
			frames := r.takeover(s, 2)
			if r.info(s).Video != Encode {
				t.Fatalf("the picture is not encoded: %+v", r.info(s))
			}
			sounds := of(media.Audio, frames)
			whole := 0
			for i := 1; i < len(sounds); i++ {
				d := ticks(sounds[i].PTS, c.rate) - ticks(sounds[i-1].PTS, c.rate)
				if d <= 0 || d%c.frame != 0 {
					t.Fatalf("sound frame %d comes %d samples after the one before; frames have %d", i, d, c.frame)
				}
				if d == c.frame {
					whole++
				}
			}
			t.Logf("%d of %d steps of sound are of one frame", whole, len(sounds)-1)
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
		"a rendition that begins": {opus, sound(0, 5000*ms), 5000 * ms, never, never,
			start{picture: 5000 * ms, decode: 4800 * ms}},
		"sound that begins beside a picture": {beside, sound(0, 5000*ms), 5000 * ms, never, never,
			start{decode: never}},
		"nothing was lost": {opus, sound(0, 5000*ms), 5000 * ms, 4900 * ms, 4400 * ms,
			start{picture: 5000 * ms, decode: 4100 * ms, sound: shifted + 4400*48 + 312}},
		"beside a picture too": {beside, sound(0, 5000*ms), 5000 * ms, 4900 * ms, 4400 * ms,
			start{decode: 4100 * ms, sound: shifted + 4400*48 + 312}},
		"frames of another length": {aac, sound(0, 5000*ms), 5000 * ms, 4900 * ms, 4400 * ms,
			start{picture: 5000 * ms, decode: 4100 * ms, sound: shifted + 4400*48 + 1024}},
		"what is too old to be heard is left out": {opus, sound(0, 5000*ms), 5000 * ms, 1000 * ms, 1000 * ms,
			start{picture: 5000 * ms, decode: 3700 * ms, sound: shifted + 4000*48 + 312}},
		"what is not there any more is left out": {opus, sound(4755*ms, 5000*ms), 5000 * ms, 4400 * ms, 4400 * ms,
			start{picture: 5000 * ms, decode: 4100 * ms, sound: shifted + 4760*48 + 312}},
		"no sound is there": {opus, nil, 5000 * ms, 4400 * ms, 4400 * ms, start{picture: 5000 * ms,
			decode: 4100 * ms, sound: shifted + 5000*48 + 312}},
		"sound that is far behind the picture": {opus, sound(0, 2000*ms), 5000 * ms, 4900 * ms, 1900 * ms,
			start{picture: 5000 * ms, decode: 1600 * ms, sound: shifted + 1900*48 + 312}},
		"sound that never came beside a picture": {beside, sound(0, 5000*ms), 5000 * ms, 4900 * ms, never,
			start{decode: 4800 * ms}},
		"sound that is passed through": {video, sound(0, 5000*ms), 5000 * ms, 1000 * ms, 1000 * ms,
			start{picture: 5000 * ms, decode: 4000 * ms}},
		"a picture beyond the edge is not shown again": {video, nil, 5000 * ms, 5010 * ms, never, start{picture: 5011 * ms,
			decode: 4811 * ms}},
	} {
		c.want.published = extent{[3]time.Duration{never, c.shown, c.heard}, c.shown, false}
		if got := findStart(c.work, c.backlog, c.edge, c.want.published); got != c.want {
			t.Errorf("%s: %+v, want %+v", name, got, c.want)
		}
	}
}

// What is passed through beside sound whose process is killed goes on as if nothing had happened, and no sound comes
// twice.
func TestNothingIsRepeatedWhenAProcessTakesOver(t *testing.T) {
	t.Parallel()
	aac := origin()
	aac.AudioCodec = "AAC"
	// of a tone, two halves that do not fit cancel each other out
	noise := []string{"-filter:a", "aeval=0.2*random(0)-0.1|0.2*random(1)-0.1"}
	for name, o := range map[string]testsrc.Options{
		"beside a picture": {Audio: true, FPS: 25, ExtraArgs: noise}, "sound alone": {NoVideo: true, ExtraArgs: noise},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newRig(t, []plan.Template{aac}, nil)
			r.publish("a", o)
			testkit.Eventually(
				t,
				name,
				func() bool { s, err := r.hub.Find(t.Context(), key("a")); return err == nil && len(s.Tracks()) > 0 },
			)
			frames := r.takeover(r.find("a_web"), 1, 2)
			sounds, missing := of(media.Audio, frames), 0
			for i := 1; i < len(sounds); i++ {
				d := ticks(sounds[i].PTS, 44100) - ticks(sounds[i-1].PTS, 44100)
				if d <= 0 || d%1024 != 0 {
					t.Errorf("sound frame %d comes %d samples after the one before", i, d)
				}
				missing += int(d/1024) - 1
			}
			pictures := of(media.Video, frames)
			if (len(pictures) > 0) == o.NoVideo {
				t.Errorf("%d pictures", len(pictures))
			}
			for i := 1; i < len(pictures); i++ {
				if d := pictures[i].DTS - pictures[i-1].DTS; d != 40*time.Millisecond {
					t.Errorf("picture %d comes %s after the one before, want 40 ms", i, d)
				}
			}
			low, usual := loudness(t, sounds)
			if missing == 0 && low < 0.6*usual {
				t.Errorf("the sound has a hole: %.0f, usually %.0f", low, usual)
			}
			t.Logf(
				"%d pictures, %d frames of sound, %d missing; loudness at least %.0f, usually %.0f",
				len(pictures),
				len(sounds),
				missing,
				low,
				usual,
			)
		})
	}
}

// loudness decodes AAC and gives the least and the usual RMS of 5 ms, without the ends.
func loudness(t *testing.T, frames []*media.Frame) (low, usual float64) {
	t.Helper()
	track := frames[0].Track
	var in, out bytes.Buffer
	w, err := nut.NewWriter(&in, []nut.Track{{
		Class: nut.Audio, FourCC: aacTag, Num: 1, Den: audioClock, SampleRate: track.SampleRate, Channels: track.Channels,
		Extra: track.Config,
	}})
	for i := 0; err == nil && i < len(frames); i++ {
		err = w.Write(nut.Frame{Key: true, PTS: ticks(frames[i].PTS, audioClock), Data: frames[i].Units[0]})
	}
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(
		t.Context(),
		"ffmpeg",
		"-loglevel",
		"error",
		"-f",
		"nut",
		"-i",
		"pipe:0",
		"-ac",
		"1",
		"-ar",
		"48000",
		"-f",
		"s16le",
		"pipe:1",
	)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = &in, &out, os.Stderr
	if err := cmd.Run(); err != nil {
		t.Fatal(err)
	}
	const window = 240
	samples := make([]int16, out.Len()/2)
	if _, err := binary.Decode(out.Bytes(), binary.LittleEndian, samples); err != nil {
		t.Fatal(err)
	}
	var all []float64
	for ; len(samples) >= window; samples = samples[window:] {
		sum := 0.0
		for _, v := range samples[:window] {
			sum += float64(v) * float64(v)
		}
		all = append(all, math.Sqrt(sum/window))
	}
	all = all[20 : len(all)-20]
	slices.Sort(all)
	return all[0], all[len(all)/2]
}

// A pass begins with what belongs to it.
func TestBacklogIsOfWhatTheSourceIsNow(t *testing.T) {
	old, now, sound := &media.Track{
		Codec: media.H264,
		SPS:   []byte{1},
	}, &media.Track{
		Codec: media.H264,
		SPS:   []byte{2},
	}, &media.Track{
		Codec: media.AAC,
	}
	was := &media.Track{Codec: media.AAC, Channels: 1}
	all := []*media.Frame{
		{Track: old, Key: true, Epoch: 2}, {Track: sound, Epoch: 1}, {Track: was, Epoch: 2}, {Track: sound, Epoch: 2},
		{Track: now, Key: true, Epoch: 2}, {Track: now, Epoch: 2}, {Track: now, Key: true, Epoch: 2}, {Track: now, Epoch: 2},
	}
	for task, want := range map[Task][]*media.Frame{Copy: all[3:], Encode: {all[3], all[6], all[7]}} {
		p := &pass{video: now, audio: sound, epoch: 2, work: Work{Video: task}}
		if got := p.current(all); !slices.Equal(got, want) {
			t.Errorf("%s: %d frames, want %d: %v", task, len(got), len(want), got)
		}
	}
}

// A picture that was encoded so far and is passed through from now on begins with a key frame, also one that comes
// before its time in the order of decoding.
func TestPassingThroughBeginsWithAKeyFrame(t *testing.T) {
	const ms = time.Millisecond
	video, sound := &media.Track{Codec: media.H264}, &media.Track{Codec: media.AAC}
	frames := []*media.Frame{
		{Track: video, Key: true, DTS: 900 * ms, PTS: 980 * ms}, // shown
		{Track: video, DTS: 940 * ms, PTS: 1100 * ms},           // refers to it
		{Track: sound, DTS: 1000 * ms, PTS: 1000 * ms},
		{Track: sound, DTS: 1020 * ms, PTS: 1020 * ms},
		{Track: video, Key: true, DTS: 980 * ms, PTS: 1060 * ms},
		{Track: video, DTS: 1000 * ms, PTS: 990 * ms}, // of the GOP before
		{Track: video, DTS: 1020 * ms, PTS: 1140 * ms},
	}
	type stamp struct{ dts, pts time.Duration }
	for name, c := range map[string]struct {
		encoded bool
		want    []stamp
	}{
		"encoded":        {true, []stamp{{1020 * ms, 1020 * ms}, {1000 * ms, 1060 * ms}, {1020 * ms, 1140 * ms}}},
		"passed through": {false, []stamp{{1020 * ms, 1020 * ms}, {1020 * ms, 1140 * ms}}},
	} {
		p := &pass{
			from: start{decode: never, published: extent{[3]time.Duration{never, 1000 * ms, 1000 * ms}, 1000 * ms, c.encoded}},
		}
		var got []stamp
		for _, f := range frames {
			if out := *f; p.continues(&out) {
				got = append(got, stamp{out.DTS, out.PTS})
			}
		}
		if !slices.Equal(got, c.want) {
			t.Errorf("%s: %v, want %v", name, got, c.want)
		}
	}
}

// What a publication tells of itself is what the next pass goes on from; a source's wild time stamp does not keep its
// pictures away for hours.
func TestPublicationTellsHowFarItHasCome(t *testing.T) {
	h := hub.New(hub.Options{})
	defer h.Close()
	pub, err := h.Publish(key("a_web"), hub.Publisher{})
	if err != nil {
		t.Fatal(err)
	}
	p := newPublication(pub, func() {})
	if got := p.reached(); got != nothing() {
		t.Errorf("before anything: %+v", got)
	}
	video, sound := &media.Track{Codec: media.H264}, &media.Track{Codec: media.Opus}
	for i, c := range []struct {
		f    media.Frame
		own  bool
		want extent
	}{
		{media.Frame{Track: sound, DTS: 0}, false, nothing()}, // before the first picture
		{media.Frame{Track: video, Key: true, DTS: time.Second, PTS: 3 * time.Hour}, true,
			extent{[3]time.Duration{never, time.Second, never}, 5 * time.Second, true}},
		{media.Frame{Track: sound, DTS: 2 * time.Second}, false, extent{[3]time.Duration{never, time.Second, 2 * time.Second},
			5 * time.Second, true}},
		{media.Frame{Track: video, DTS: 6 * time.Second, PTS: 7 * time.Second}, false,
			extent{[3]time.Duration{never, 6 * time.Second, 2 * time.Second}, 7 * time.Second, false}},
		{media.Frame{Track: video, DTS: 5 * time.Second, PTS: 9 * time.Second}, true,
			extent{[3]time.Duration{never, 6 * time.Second, 2 * time.Second}, 7 * time.Second, false}},
	} {
		if err := p.write(&c.f, c.own); err != nil {
			t.Fatal(err)
		}
		if got := p.reached(); got != c.want {
			t.Errorf("after frame %d: %+v, want %+v", i, got, c.want)
		}
	}
}
