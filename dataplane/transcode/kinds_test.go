package transcode

import (
	"errors"
	"testing"
	"time"

	"github.com/millrace/millrace/dataplane/hub"
	"github.com/millrace/millrace/dataplane/media"
	"github.com/millrace/millrace/internal/contract/plan"
	"github.com/millrace/millrace/internal/testkit"
	"github.com/millrace/millrace/internal/testsrc"
)

// Templates of type Audio touch the sound alone; AAC comes out where it is asked for, and Copy leaves it as it is.
func TestSound(t *testing.T) {
	t.Parallel()
	sound := plan.Template{ID: "sound", Type: plan.TemplateAudio, AudioCodec: "Opus", AudioKbps: 48, Channels: 1}
	aac := origin()
	aac.ID, aac.AudioCodec, aac.SampleRate = "aac", "AAC", 44100
	same := origin()
	same.ID, same.AudioCodec = "same", "Copy"
	r := newRig(t, []plan.Template{sound, aac, same}, nil)
	r.publish("a", testsrc.Options{Audio: true, BFrames: 2, Width: 320, Height: 180})
	source := r.await("a")
	for id, want := range map[string]struct {
		video Task
		audio Task
		codec media.Codec
		rate  int
		chans int
		step  time.Duration // of frames
	}{
		"sound": {Copy, Encode, media.Opus, 48000, 1, 20 * time.Millisecond},
		"aac":   {Encode, Encode, media.AAC, 44100, 2, 1024 * time.Second / 44100},
		"same":  {Encode, Copy, media.AAC, 48000, 2, 1024 * time.Second / 48000},
	} {
		frames := r.read(r.find("a_"+id), 3*time.Second)
		video, audio := of(media.Video, frames), of(media.Audio, frames)
		if len(video) < 30 || len(audio) < 50 {
			t.Errorf("%s: %d pictures, %d frames of sound", id, len(video), len(audio))
			continue
		}
		if got := audio[0].Track; got.Codec != want.codec || got.SampleRate != want.rate || got.Channels != want.chans {
			t.Errorf("%s: sound is %s, %d Hz, %d channels", id, got.Codec, got.SampleRate, got.Channels)
		}
		if (video[0].Track == source.Track(media.Video)) != (want.video == Copy) ||
			(audio[0].Track == source.Track(media.Audio)) != (want.audio == Copy) {
			t.Errorf("%s: what is passed through has another track, or what is encoded has not", id)
		}
		for i := 1; i < len(audio); i++ {
			// RTMP rounds to milliseconds.
			if d := audio[i].PTS - audio[i-1].PTS - want.step; d.Abs() > 1100*time.Microsecond {
				t.Errorf("%s: sound frame %d comes %s off", id, i, d)
				break
			}
		}
		for _, i := range r.trans.List() {
			if i.Template == id && (i.Video != want.video || i.Audio != want.audio) {
				t.Errorf("%s: %+v", id, i)
			}
		}
	}
}

// With bFrames: Keep an encoded picture may have them, in an order that decoders take.
func TestKeepsBFrames(t *testing.T) {
	t.Parallel()
	keep := plan.Template{
		ID:         "keep",
		Type:       plan.TemplateH264,
		Width:      320,
		Height:     180,
		VideoKbps:  300,
		GOP:        2 * time.Second,
		AudioCodec: "Opus",
	}
	r := newRig(t, []plan.Template{keep}, nil)
	r.publish("a", testsrc.Options{Audio: true, BFrames: 2})
	r.await("a")
	frames := of(media.Video, r.read(r.find("a_keep"), 4*time.Second))
	in, late := media.NewInspector(), 0
	shown := map[time.Duration]bool{}
	for i, f := range frames {
		in.Frame(f)
		if f.PTS < f.DTS || i > 0 && f.DTS < frames[i-1].DTS {
			t.Fatalf("picture %d: DTS %s, PTS %s", i, f.DTS, f.PTS)
		}
		if f.PTS > f.DTS {
			late++
		}
		if shown[f.PTS] {
			t.Errorf("two pictures at %s", f.PTS)
		}
		shown[f.PTS] = true
	}
	i := r.trans.List()
	if len(frames) < 60 || !in.BFrames() || late == 0 || frames[0].Track.Width != 320 || i[0].Video != Encode {
		t.Errorf("%d pictures, B-frames %t, %d reordered; %+v", len(frames), in.BFrames(), late, i)
	}
}

// Without head-room a new session is refused with the time to come back, and the one that runs is not touched.
func TestRefusesWithoutHeadroom(t *testing.T) {
	t.Parallel()
	r := newRig(t, []plan.Template{origin()}, func(o *Options) { o.MaxCPU = 100 })
	for _, name := range []string{"a", "b"} {
		r.publish(name, testsrc.Options{Audio: true, BFrames: 2})
		r.await(name)
	}
	s := r.find("a_web")
	reader := s.NewReader()
	defer reader.Close()
	testkit.Eventually(t, "measured work of a child", func() bool { return r.trans.headroom.cores() > 0.005 })
	r.trans.headroom.mu.Lock() // as if the others on the machine had taken the rest
	r.trans.headroom.max = 0.001
	r.trans.headroom.mu.Unlock()
	_, err := r.trans.Find(t.Context(), key("b_web"))
	busy, ok := errors.AsType[*hub.UnavailableError](err)
	if !ok || busy.Reason != "TranscoderBusy" || busy.RetryAfter <= 0 {
		t.Fatalf("%v, want TranscoderBusy", err)
	}
	if r.trans.Headroom() != 0 {
		t.Errorf("head-room %f", r.trans.Headroom())
	}
	if again := r.find("a_web"); again != s {
		t.Error("more viewers of the rendition that runs do not get it")
	}
	before := r.trans.List()[0]
	for range 30 {
		if _, err := reader.Next(t.Context()); err != nil {
			t.Fatalf("the one that runs was touched: %v", err)
		}
	}
	if after := r.trans.List(); len(after) != 1 || after[0].PID != before.PID {
		t.Errorf("%+v", after)
	}
}

// A changed template applies to what starts afterwards: a running rendition takes it up when its source is published
// anew.
func TestChangedTemplates(t *testing.T) {
	t.Parallel()
	small := plan.Template{
		ID:         "small",
		Type:       plan.TemplateH264,
		Width:      320,
		Height:     180,
		VideoKbps:  300,
		GOP:        time.Second,
		DropB:      true,
		AudioCodec: "Opus",
	}
	r := newRig(t, []plan.Template{small}, nil)
	first := r.publish("a", testsrc.Options{})
	r.publish("b", testsrc.Options{})
	r.await("a")
	r.await("b")
	reader := r.find("a_small").NewReader()
	defer reader.Close()
	smaller := small
	smaller.Width, smaller.Height = 160, 90
	r.setTemplates([]plan.Template{smaller})
	if w := r.find("b_small").Track(media.Video).Width; w != 160 {
		t.Errorf("a rendition that starts after the change is %d wide, want 160", w)
	}
	width := func(until func(*media.Frame) bool) {
		t.Helper()
		for deadline := time.Now().Add(testkit.Patience()); time.Now().Before(deadline); {
			f, err := reader.Next(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			if f.Kind() == media.Video && until(f) {
				return
			}
		}
		t.Fatal("it did not come about")
	}
	n := 0
	width(func(f *media.Frame) bool {
		if f.Track.Width != 320 {
			t.Fatalf("the running rendition became %d wide", f.Track.Width)
		}
		n++
		return n > 60
	})
	first.Kill()
	r.publish("a", testsrc.Options{})
	width(func(f *media.Frame) bool { return f.Track.Width == 160 })
	// A template that has gone: the rendition ends at the next publish, not before.
	if r.trans.Sessions() != 2 {
		t.Errorf("%d sessions, want 2", r.trans.Sessions())
	}
}
