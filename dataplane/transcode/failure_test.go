package transcode

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/millrace/millrace/dataplane/hub"
	"github.com/millrace/millrace/dataplane/media"
	"github.com/millrace/millrace/internal/contract/plan"
	"github.com/millrace/millrace/internal/testkit"
	"github.com/millrace/millrace/internal/testsrc"
)

func alive(pid int) bool {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	return err == nil && !bytes.Contains(b, []byte(") Z "))
}

// Many who ask at once for a cold rendition start one ffmpeg, all see a picture, and it goes some time after the last.
func TestOneProcessForACrowd(t *testing.T) {
	t.Parallel()
	r := newRig(t, []plan.Template{origin()}, func(o *Options) { o.Idle = time.Second })
	r.publish("a", testsrc.Options{Audio: true, BFrames: 3, GOPSeconds: 4})
	r.await("a")
	const viewers = 50
	var wg sync.WaitGroup
	var slowest time.Duration
	var mu sync.Mutex
	seen := make([]*hub.Reader, viewers)
	began := time.Now()
	for i := range viewers {
		wg.Go(func() {
			ctx, cancel := context.WithTimeout(t.Context(), testkit.Patience())
			defer cancel()
			s, err := r.trans.Find(ctx, key("a_web"))
			if err != nil {
				t.Error(err)
				return
			}
			seen[i] = s.NewReader()
			if f, err := seen[i].Next(ctx); err != nil || !f.Key {
				t.Errorf("the first frame: %+v, %v", f, err)
			}
			mu.Lock()
			defer mu.Unlock()
			slowest = max(slowest, time.Since(began))
		})
	}
	wg.Wait()
	list := r.trans.List()
	if len(list) != 1 || list[0].Starts != 1 || list[0].Readers != viewers {
		t.Fatalf("%+v", list)
	}
	pid := list[0].PID
	t.Logf("the last of %d had a picture after %s", viewers, slowest)
	for _, one := range seen {
		one.Close()
	}
	testkit.Eventually(t, "the end of the rendition", func() bool { return r.trans.Sessions() == 0 && !alive(pid) })
}

// A crash of ffmpeg takes nobody's stream away.
func TestCrashGoesOnInTheSameStream(t *testing.T) {
	t.Parallel()
	registry := prometheus.NewRegistry()
	r := newRig(t, []plan.Template{origin()}, func(o *Options) { o.Metrics = registry })
	r.publish("a", testsrc.Options{Audio: true, BFrames: 3, GOPSeconds: 8})
	r.await("a")
	s := r.find("a_web")
	reader := s.NewReader()
	defer reader.Close()
	pid := r.trans.List()[0].PID
	if b, err := os.ReadFile(fmt.Sprintf("/proc/%d/environ", pid)); err != nil || string(b) != "LC_ALL=C\x00" {
		t.Errorf("the environment of ffmpeg is %q (%v)", b, err)
	}
	var killed, again time.Time
	last := time.Duration(-1)
	for deadline := time.Now().Add(testkit.Patience()); again.IsZero() && time.Now().Before(deadline); {
		f, err := reader.Next(t.Context())
		if err != nil {
			t.Fatalf("the reader lost its stream: %v", err)
		}
		if f.Kind() != media.Video {
			continue
		}
		if f.DTS <= last {
			t.Fatalf("DTS %s after %s", f.DTS, last)
		}
		last = f.DTS
		switch now := r.trans.List()[0].PID; {
		case killed.IsZero() && f.DTS > 2*time.Second:
			killed = time.Now()
			if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
				t.Fatal(err)
			}
		case !killed.IsZero() && again.IsZero() && now != pid && now != 0 && !f.Key:
			t.Fatalf("the new process begins with a picture at %s that is no key frame", f.DTS)
		case !killed.IsZero() && now != pid && now != 0 && f.Key:
			again = time.Now()
		}
	}
	if again.IsZero() {
		t.Fatal("there was no picture after the crash")
	}
	t.Logf("a picture %s after kill -9", again.Sub(killed))
	if said := r.trans.List()[0].Problem; said != "ffmpeg ended: signal: killed" {
		t.Errorf("the reason is told as %q", said)
	}
	families, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	used := 0.0
	for _, f := range families {
		if f.GetName() == "millrace_transcode_ended_cpu_seconds_total" {
			used = f.GetMetric()[0].GetCounter().GetValue()
		}
	}
	if used <= 0 {
		t.Error("the CPU time of the process that was killed is not counted")
	}
}

// What the source becomes in mid-stream, the rendition follows: another size, another encoder, no sound any more.
func TestSourceChanges(t *testing.T) {
	t.Parallel()
	r := newRig(t, []plan.Template{origin()}, nil)
	first := r.publish("a", testsrc.Options{Audio: true, BFrames: 2})
	r.await("a")
	s := r.find("a_web")
	reader := s.NewReader()
	defer reader.Close()
	width := func(want int) {
		t.Helper()
		testkit.Eventually(t, fmt.Sprintf("a picture %d wide", want), func() bool {
			f, err := reader.Next(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			return f.Kind() == media.Video && f.Key && f.Track.Width == want
		})
	}
	width(640)
	first.Kill()
	second := r.publish("a", testsrc.Options{Width: 320, Height: 180, BFrames: 1})
	width(320)
	second.Kill()
	r.publish("a", testsrc.Options{Width: 480, Height: 270, Audio: true})
	width(480)
}

// Sources of all kinds are played, or refused with a reason; nothing hangs.
func TestOddSources(t *testing.T) {
	t.Parallel()
	hd := plan.Template{
		ID:         "hd",
		Type:       plan.TemplateH264,
		Width:      320,
		Height:     180,
		FPS:        30,
		VideoKbps:  300,
		GOP:        time.Second,
		DropB:      true,
		AudioCodec: "Opus",
	}
	r := newRig(t, []plan.Template{origin(), hd}, nil)
	for name, o := range map[string]testsrc.Options{
		"silent":     {BFrames: 2},
		"blind":      {NoVideo: true, ExtraArgs: []string{"-ac", "1", "-ar", "22050"}},
		"slow":       {FPS: 5, BFrames: 1, Audio: true},
		"fast":       {FPS: 120, Width: 320, Height: 180, BFrames: 2},
		"interlaced": {Audio: true, ExtraArgs: []string{"-flags", "+ildct+ilme", "-x264opts", "interlaced=1"}},
		"yuv444":     {ExtraArgs: []string{"-pix_fmt", "yuv444p", "-profile:v", "high444"}},
		"mono44":     {Audio: true, BFrames: 2, ExtraArgs: []string{"-ac", "1", "-ar", "44100"}},
	} {
		p := r.publish(name, o)
		if name == "blind" {
			testkit.Eventually(
				t,
				name,
				func() bool { s, err := r.hub.Find(t.Context(), key(name)); return err == nil && len(s.Tracks()) > 0 },
			)
		} else {
			r.await(name)
		}
		for _, id := range []string{"web", "hd"} {
			s := r.find(name + "_" + id)
			frames := r.read(s, 2*time.Second)
			video, audio := of(media.Video, frames), of(media.Audio, frames)
			if (len(video) == 0) != o.NoVideo || (len(audio) == 0) != (!o.Audio && !o.NoVideo) {
				t.Errorf("%s_%s: %d pictures, %d frames of sound", name, id, len(video), len(audio))
				continue
			}
			steps(t, audio)
			in := media.NewInspector()
			for _, f := range video {
				in.Frame(f)
			}
			f := in.Facts()
			if f.BFrames || len(video) > 0 && (!video[0].Track.ForBrowsers() || id == "hd" && (f.Width != 320 || f.FPS > 31)) {
				t.Errorf("%s_%s: %+v", name, id, f)
			}
		}
		p.Kill()
	}
}

func TestRefusals(t *testing.T) {
	t.Parallel()
	r := newRig(t, []plan.Template{origin()}, func(o *Options) { o.MaxSessions = 1 })
	r.publish("a", testsrc.Options{Audio: true})
	r.publish("b", testsrc.Options{})
	r.await("a")
	r.await("b")
	s := r.find("a_web")
	reader := s.NewReader()
	defer reader.Close()
	for name, want := range map[string]string{"b_web": "TranscoderFull", "none_web": "", "a_none": "", "a_web_web": ""} {
		_, err := r.trans.Find(t.Context(), key(name))
		full, unavailable := errors.AsType[*hub.UnavailableError](err)
		switch {
		case want == "" && !errors.Is(err, hub.ErrNotFound) && !unavailable:
			t.Errorf("%s: %v", name, err)
		case want != "" && (!unavailable || full.Reason != want || full.RetryAfter <= 0):
			t.Errorf("%s: %v, want %s", name, err, want)
		}
	}
	if f, err := reader.Next(t.Context()); err != nil || f == nil {
		t.Errorf("the one that runs was touched: %v", err)
	}
}

func TestFFmpegIsLookedAtFirst(t *testing.T) {
	t.Parallel()
	current := plan.NewCurrent()
	tpl := origin()
	tpl.Space = space
	current.Store(plan.NewIndex(&plan.Plan{Templates: []plan.Template{tpl}}))
	h := hub.New(hub.Options{})
	defer h.Close()
	poor := filepath.Join(t.TempDir(), "ffmpeg")
	if err := os.WriteFile(poor, []byte("#!/bin/sh\necho ' V....D libx264 H.264'\n"), 0o700); err != nil {
		t.Fatal(err)
	}
	for program, want := range map[string]string{"no-such-ffmpeg": "apt-get install -y ffmpeg", poor: "libopus"} {
		if _, err := New(t.Context(), Options{Hub: h, Plan: current, FFmpeg: program}); err == nil ||
			!strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want a text with %q", program, err, want)
		}
	}
	if _, err := New(t.Context(), Options{Hub: h, Plan: current, Encoder: "x265"}); err == nil {
		t.Error("an unknown encoder is taken")
	}
	current.Store(plan.NewIndex(&plan.Plan{}))
	one, err := New(t.Context(), Options{Hub: h, Plan: current, FFmpeg: "no-such-ffmpeg"})
	if err != nil {
		t.Fatalf("without templates ffmpeg is not needed: %v", err)
	}
	one.Close()
}

// TestParent is no test: as another process it starts a child and waits to be killed.
func TestParent(t *testing.T) {
	if os.Getenv("MILLRACE_TEST_PARENT") == "" {
		return
	}
	s := newSpawner()
	p, err := s.run("/bin/sleep", []string{"600"}, confinement{})
	if err != nil {
		t.Fatal(err)
	}
	fmt.Printf("child %d\n", p.cmd.Process.Pid)
	select {}
}

// Children do not outlive their parent, not even one that is killed.
func TestChildrenDieWithTheParent(t *testing.T) {
	t.Parallel()
	cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run", "^TestParent$")
	cmd.Env = append(os.Environ(), "MILLRACE_TEST_PARENT=1")
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	child := 0
	for lines := bufio.NewScanner(out); child == 0 && lines.Scan(); {
		if text, ok := strings.CutPrefix(lines.Text(), "child "); ok {
			if child, err = strconv.Atoi(text); err != nil {
				t.Fatal(err)
			}
		}
	}
	if child == 0 || !alive(child) {
		t.Fatalf("there is no child %d", child)
	}
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait() // killed
	testkit.Eventually(t, "the end of the child", func() bool { return !alive(child) })
}

// A rendition of trigger OnPublish is there without viewers; it gives way to an encoder that publishes under its name.
func TestOnPublishAndYield(t *testing.T) {
	t.Parallel()
	tpl := origin()
	tpl.OnPublish = true
	r := newRig(t, []plan.Template{tpl}, func(o *Options) { o.Idle = 200 * time.Millisecond })
	r.publish("a", testsrc.Options{Audio: true})
	s := r.await("a_web")
	if !s.Publisher().Yields || r.trans.Sessions() != 1 {
		t.Fatal("a_web is not a rendition")
	}
	r.publish("a_web", testsrc.Options{Width: 320, Height: 180})
	testkit.Eventually(t, "the encoder's own stream", func() bool {
		s, err := r.trans.Find(t.Context(), key("a_web"))
		return err == nil && !s.Publisher().Yields && s.Track(media.Video).Width == 320
	})
	testkit.Eventually(t, "the end of the rendition", func() bool { return r.trans.Sessions() == 0 })
}

// Codecs are told by one list, where some have coders of other names, and some of none.
func TestCodecsOfAList(t *testing.T) {
	dec, enc := codecs(` D..... = Decoding supported
 DEV.LS h264                 H.264 / AVC (part 10) (decoders: h264 h264_cuvid ) (encoders: libx264 h264_nvenc )
 DEAIL. aac                  AAC (decoders: aac aac_fixed )
 DEAIL. opus                 Opus (encoders: opus libopus )
 D.V.L. hevc                 HEVC
`)
	for name, want := range map[string][2]bool{
		"h264": {true, false}, "h264_cuvid": {true, false}, "libx264": {false, true}, "h264_nvenc": {false, true},
		"aac": {true, true}, "aac_fixed": {true, false},
		"opus": {true, true}, "libopus": {false, true}, "hevc": {true, false},
	} {
		if got := [2]bool{dec[name], enc[name]}; got != want {
			t.Errorf("%s decodes and encodes: %v, want %v", name, got, want)
		}
	}
}

// Hardware that is not there costs no process.
func TestAutoTriesWhatIsThere(t *testing.T) {
	testkit.NeedFFmpeg(t)
	one, how, err := probe(t.Context(), "ffmpeg", Auto)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range []Encoder{NVENC, QSV, VAAPI} {
		absent := fmt.Sprintf("%s: no /dev/", e)
		if strings.Contains(how, fmt.Sprintf("%s: ffmpeg has no", e)) {
			continue
		}
		if there := exist(e.files()); there == strings.Contains(how, absent) && one.encoder == X264 {
			t.Errorf("%s is there: %t; but: %s", e, there, how)
		}
	}
	if !exist([]string{"/dev/no*such", "/dev/nul*"}) || exist([]string{"/dev/no*such"}) {
		t.Error("patterns of files do not tell what is there")
	}
}
