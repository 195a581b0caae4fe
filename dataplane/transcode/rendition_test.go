package transcode

import (
	"testing"
	"time"

	"github.com/millrace/millrace/dataplane/hub"
	"github.com/millrace/millrace/dataplane/media"
	"github.com/millrace/millrace/internal/contract/plan"
	"github.com/millrace/millrace/internal/testkit"
	"github.com/millrace/millrace/internal/testsrc"
)

// origin asks for what browsers play at the source's size.
func origin() plan.Template {
	return plan.Template{ID: "web", Type: plan.TemplateH264Origin, GOP: 2 * time.Second, DropB: true, AudioCodec: "Opus"}
}

// steps checks that sound goes on without a gap, a frame of 20 ms after the other.
func steps(t *testing.T, frames []*media.Frame) {
	t.Helper()
	for i := 1; i < len(frames); i++ {
		if d := frames[i].PTS - frames[i-1].PTS; d != 20*time.Millisecond {
			t.Fatalf("sound frame %d comes %s after the one before, want 20 ms", i, d)
		}
	}
}

// A picture that browsers play is not touched; only its AAC becomes Opus.
func TestPassesAPictureThrough(t *testing.T) {
	r := newRig(t, []plan.Template{origin()}, nil)
	r.publish("a", testsrc.Options{Audio: true})
	source := r.await("a")
	s := r.find("a_web")
	frames := r.read(s, 3*time.Second)
	video, audio := of(media.Video, frames), of(media.Audio, frames)
	if len(video) < 60 || len(audio) < 100 {
		t.Fatalf("%d pictures, %d frames of sound", len(video), len(audio))
	}
	if video[0].Track != source.Track(media.Video) || audio[0].Track.Codec != media.Opus {
		t.Error("the picture's track is not the source's, or the sound is not Opus")
	}
	steps(t, audio)
	i := r.trans.List()
	if len(i) != 1 || i[0].Video != Copy || i[0].Audio != Encode || i[0].Starts != 1 {
		t.Errorf("%+v", i)
	}
	t.Logf("sound is %.1f ms behind", i[0].AddedMs)
}

// B-frames and long GOPs are what makes a picture be encoded anew.
func TestRepairsBFramesAndLongGOPs(t *testing.T) {
	r := newRig(t, []plan.Template{origin()}, nil)
	r.publish("a", testsrc.Options{Audio: true, BFrames: 3, GOPSeconds: 8, ExtraArgs: []string{"-ar", "44100"}})
	source := r.await("a")
	if !source.Facts().BFrames {
		t.Fatal("the source has no B-frames")
	}
	s := r.find("a_web")
	frames := r.read(s, 7*time.Second)
	video, audio := of(media.Video, frames), of(media.Audio, frames)
	last := time.Duration(-1)
	in := media.NewInspector()
	for _, f := range video {
		in.Frame(f)
		if f.DTS != f.PTS || f.Track.Width != 640 {
			t.Fatalf("a picture of %dx%d with DTS %s, PTS %s", f.Track.Width, f.Track.Height, f.DTS, f.PTS)
		}
		if f.Key {
			if last >= 0 && f.PTS-last > 2*time.Second {
				t.Errorf("key frames are %s apart", f.PTS-last)
			}
			last = f.PTS
		}
	}
	if in.BFrames() || last < 4*time.Second || len(audio) < 200 {
		t.Errorf("B-frames %t, last key frame at %s, %d frames of sound", in.BFrames(), last, len(audio))
	}
	steps(t, audio)
	t.Logf("%+v", r.trans.List()[0])
}

// Sources that browsers cannot begin to play, or show in a wrong shape, are encoded anew: intra refresh and open GOPs
// have no IDR pictures after the first, and RTP does not tell the shape of pixels.
func TestRepairsWhatBrowsersCannotBegin(t *testing.T) {
	for name, c := range map[string]struct {
		x264, filter  string
		bFrames       int
		width, height int
		refreshed     bool
	}{
		"refresh": {"intra-refresh=1", "null", 0, 320, 180, true},
		"open":    {"open-gop=1", "null", 2, 320, 180, true},
		"shape":   {"", "setsar=64/45", 0, 454, 180, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newRig(t, []plan.Template{origin()}, nil)
			args := []string{"-vf", c.filter, "-x264-params", "keyint=25:" + c.x264}
			r.publish(name, testsrc.Options{Width: 320, Height: 180, FPS: 25, BFrames: c.bFrames, ExtraArgs: args})
			source := r.await(name)
			testkit.Eventually(t, "what the source is", func() bool { return source.Facts().Refreshed == c.refreshed })
			s := r.find(name + "_web")
			frames := of(media.Video, r.read(s, 2*time.Second))
			if len(frames) < 25 {
				t.Fatalf("%d pictures", len(frames))
			}
			if f := frames[0]; !f.Key || f.Recovery || f.Track.Width != c.width || f.Track.Height != c.height {
				t.Errorf("the first picture: key %t, recovery %t, %dx%d", f.Key, f.Recovery, f.Track.Width, f.Track.Height)
			}
			if !frames[0].Track.Aspect.Square() {
				t.Errorf("pixels are %s", frames[0].Track.Aspect)
			}
		})
	}
}

// A source that has just been fetched from another pod comes in a burst, a moment after what is known of it. Encoding
// begins at its live edge.
func TestFetchedSourceBeginsAtItsEdge(t *testing.T) {
	fetched := hub.New(hub.Options{})
	t.Cleanup(fetched.Close)
	r := newRig(t, []plan.Template{origin()}, func(o *Options) { o.Source = fetched })
	r.publish("a", testsrc.Options{GOPSeconds: 10, BFrames: 2})
	a := r.await("a")
	frames := r.read(a, 4*time.Second)
	if len(frames) < 60 || !frames[0].Key {
		t.Fatalf("%d frames of the source", len(frames))
	}
	pub, err := fetched.Publish(key("b"), hub.Publisher{})
	if err != nil {
		t.Fatal(err)
	}
	pub.SetTracks(a.Tracks())
	pub.SetFacts(a.Facts())
	found := make(chan *hub.Stream, 1)
	go func() {
		s, err := r.trans.Find(t.Context(), key("b_web"))
		if err != nil {
			t.Error(err)
		}
		found <- s
	}()
	testkit.Eventually(t, "a reader of what is only described yet", func() bool { return pub.Stream().Readers() > 0 })
	burst := len(frames) / 2
	zero := time.Now().Add(-frames[burst].DTS)
	put := func(frames []*media.Frame) {
		for _, f := range frames {
			one := *f
			one.Ingest = zero.Add(f.DTS)
			if err := pub.Write(&one); err != nil {
				t.Fatal(err)
			}
		}
	}
	put(frames[:burst+1])
	testkit.Eventually(
		t,
		"a process that begins at the edge",
		func() bool { i := r.trans.List(); return len(i) == 1 && i[0].PID != 0 },
	)
	put(frames[burst+1:])
	s := <-found
	if s == nil {
		t.FailNow()
	}
	first, err := s.NewReader().Next(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if edge := zero.Add(frames[burst].DTS); first.Ingest.Before(edge.Add(-2 * liveAge)) {
		t.Errorf("the rendition begins %s before the live edge", edge.Sub(first.Ingest))
	}
}
