package transcode

import (
	"encoding/hex"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/millrace/millrace/dataplane/media"
	"github.com/millrace/millrace/internal/contract/plan"
)

func sps(t *testing.T, text string) []byte {
	t.Helper()
	b, err := hex.DecodeString(text)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// track is a picture of a size in High profile, progressive; its SPS is only looked at for the profile.
func track(t *testing.T, width, height int) *media.Track {
	return &media.Track{
		Codec:  media.H264,
		SPS:    sps(t, "6764001facd9405005bb016a02020280000003008000001e478c18cb"),
		PPS:    []byte{0x68, 0xeb},
		Width:  width,
		Height: height,
	}
}

func facts(fps float64, gop time.Duration, b bool, kbps int) media.Facts {
	return media.Facts{VideoCodec: media.H264, FPS: fps, GOP: gop, GOPKnown: true, BFrames: b, VideoKbps: kbps}
}

// young are facts of a source that has shown one key frame.
func young(f media.Facts) media.Facts {
	f.GOPKnown = false
	return f
}

// refreshed are facts of a source without IDR pictures.
func refreshed(f media.Facts) media.Facts {
	f.Refreshed = true
	return f
}

func TestDoesOnlyTheWorkNeeded(t *testing.T) {
	web := origin()
	hd := plan.Template{
		ID:         "hd",
		Type:       plan.TemplateH264,
		Width:      1280,
		Height:     720,
		FPS:        30,
		VideoKbps:  2000,
		GOP:        2 * time.Second,
		DropB:      true,
		AudioCodec: "Opus",
	}
	free := web
	free.GOP = 0
	keep := hd
	keep.DropB, keep.AudioCodec = false, "Copy"
	sound := plan.Template{ID: "a", Type: plan.TemplateAudio, AudioCodec: "Opus", AudioKbps: 48, Channels: 1}
	fhd := track(t, 1920, 1080)
	small := track(t, 640, 360)
	anamorphic := track(t, 720, 576)
	anamorphic.Aspect = media.Aspect{Width: 64, Height: 45}
	wide := track(t, 4096, 2304)
	wide.Aspect = media.Aspect{Width: 4, Height: 1}
	phone := track(t, 1080, 1920)
	h265 := &media.Track{Codec: media.H265, Width: 1920, Height: 1080}
	high444 := &media.Track{
		Codec:  media.H264,
		SPS:    sps(t, "67f4000d919b28283f6022000003000200000300641e28532c"),
		Width:  320,
		Height: 240,
	}
	aac := &media.Track{Codec: media.AAC, SampleRate: 44100, Channels: 2}
	opus := &media.Track{Codec: media.Opus, SampleRate: 48000, Channels: 2}
	for _, c := range []struct {
		name         string
		tpl          plan.Template
		video, audio *media.Track
		f            media.Facts
		want         string
	}{
		{"complies", web, fhd, aac, facts(30, 2*time.Second, false, 4000), "video Copy, audio Encode"},
		{"complies with Opus", web, fhd, opus, facts(30, 2*time.Second, false, 4000), "video Copy, audio Copy"},
		{"B-frames", web, fhd, aac, facts(30, 2*time.Second, true, 4000),
			"video Encode, audio Encode 1920x1080 30 fps GOP 2s"},
		{"long GOP", web, fhd, aac, facts(30, 8*time.Second, false, 4000), "video Encode, audio Encode 1920x1080 30 fps " +
			"GOP 2s"},
		{"GOP not known", web, fhd, aac, young(facts(30, 1500*time.Millisecond, false, 4000)), "video Copy, audio Encode"},
		{"GOP not known, but too long", web, fhd, aac, young(facts(30, 3*time.Second, false, 4000)),
			"video Encode, audio Encode 1920x1080 30 fps GOP 2s"},
		{"GOP not known, B-frames", web, fhd, aac, young(facts(30, 300*time.Millisecond, true, 4000)),
			"video Encode, audio Encode 1920x1080 30 fps GOP 2s"},
		{"GOP not known, none asked for", free, fhd, aac, young(facts(30, 300*time.Millisecond, true, 4000)),
			"video Encode, audio Encode 1920x1080 30 fps GOP 2s"},
		{"very short GOP", web, fhd, aac, facts(30, 40*time.Millisecond, true, 4000), "video Encode, audio Encode " +
			"1920x1080 30 fps GOP 200ms"},
		{"short GOP", hd, fhd, aac, facts(30, time.Second, false, 4000), "video Encode, audio Encode 1280x720 30 fps GOP 1s"},
		{"H.265", web, h265, nil, facts(25, 2*time.Second, false, 4000), "video Encode, audio None 1920x1080 25 fps GOP 2s"},
		{"4:4:4", web, high444, nil, facts(25, 2*time.Second, false, 400), "video Encode, audio None 320x240 25 fps GOP 2s"},
		{"anamorphic", web, anamorphic, nil, facts(25, 2*time.Second, false, 1000),
			"video Encode, audio None 1024x576 25 fps GOP 2s"},
		{"anamorphic in a box", hd, anamorphic, nil, facts(25, time.Second, false, 1000),
			"video Encode, audio None 1024x576 25 fps GOP 1s"},
		{"anamorphic and large", web, wide, nil, facts(25, 2*time.Second, false, 1000),
			"video Encode, audio None 4096x576 25 fps GOP 2s"},
		{"recovery points", web, fhd, nil, refreshed(facts(30, time.Second, false, 4000)),
			"video Encode, audio None 1920x1080 30 fps GOP 1s"},
		{"no picture", web, nil, aac, media.Facts{}, "video None, audio Encode"},
		{"fits the box", hd, small, aac, facts(25, time.Second, false, 800), "video Copy, audio Encode"},
		{"too many bits", hd, small, aac, facts(25, time.Second, false, 4000), "video Encode, audio Encode 640x360 25 fps " +
			"GOP 1s"},
		{"rate not known", hd, small, aac, facts(25, time.Second, false, 0), "video Encode, audio Encode 640x360 25 fps " +
			"GOP 1s"},
		{"too fast", hd, small, aac, facts(60, time.Second, false, 800), "video Encode, audio Encode 640x360 30 fps GOP 1s"},
		{"slow", hd, fhd, aac, facts(5, time.Second, false, 800), "video Encode, audio Encode 1280x720 5 fps GOP 1s"},
		{"upright", hd, phone, aac, facts(30, 2*time.Second, false, 4000),
			"video Encode, audio Encode 720x1280 30 fps GOP 2s"},
		{"B-frames kept", keep, small, aac, facts(25, time.Second, true, 800), "video Copy, audio Copy"},
		{"sound alone", sound, h265, aac, facts(25, 9*time.Second, true, 8000), "video Copy, audio Encode"},
		{"too large", web, &media.Track{Codec: media.H265, Width: 7680, Height: 4320}, nil, facts(25, time.Second, false, 0),
			"refused"},
	} {
		w, err := decide(&c.tpl, c.video, c.audio, c.f)
		got := w.String()
		if w.Video == Encode {
			got += fmt.Sprintf(" %dx%d %g fps GOP %s", w.Width, w.Height, w.FPS, w.GOP)
		}
		if err != nil {
			got = "refused"
		}
		if got != c.want {
			t.Errorf("%s: %s (%v), want %s", c.name, got, err, c.want)
		}
	}
}

func TestSizesKeepTheAspectRatioAndAreNeverLarger(t *testing.T) {
	for _, c := range [][6]int{
		{1920, 1080, 1280, 720, 1280, 720}, {640, 360, 1280, 720, 640, 360}, {1440, 1080, 1280, 720, 960, 720},
		{1080, 1920, 1280, 720, 720, 1280},
		{2560, 1080, 1280, 720, 1280, 540}, {853, 481, 640, 480, 640, 360}, {101, 101, 0, 0, 100, 100},
	} {
		if w, h := fit(c[0], c[1], c[2], c[3]); w != c[4] || h != c[5] {
			t.Errorf("%dx%d in %dx%d: %dx%d, want %dx%d", c[0], c[1], c[2], c[3], w, h, c[4], c[5])
		}
	}
}

func TestFailuresAreRepeatedSlower(t *testing.T) {
	last := time.Duration(-1)
	for n := 1; n < 30; n++ {
		d := backoff(n)
		if d < last || d > backoffMost || n == 1 && d != 0 {
			t.Errorf("after %d failures %s, before %s", n, d, last)
		}
		last = d
	}
}

// The command lines of all encoders stand in testdata; -update writes them.
func TestCommandLines(t *testing.T) {
	full := Work{
		Video:      Encode,
		Audio:      Encode,
		Width:      1280,
		Height:     720,
		Scale:      true,
		MaxFPS:     30,
		FPS:        30,
		Kbps:       2000,
		GOP:        2 * time.Second,
		Reordered:  true,
		AudioCodec: media.Opus,
		AudioKbps:  96,
		Channels:   2,
		SampleRate: 48000,
	}
	sound := Work{Video: Copy, Audio: Encode, AudioCodec: media.AAC, AudioKbps: 128, Channels: 2, SampleRate: 44100}
	keep := full
	keep.BFrames, keep.Scale, keep.MaxFPS, keep.Deinterlace, keep.Reordered, keep.Audio = true, false, 0, true, false, None
	var b strings.Builder
	square := full
	square.Square = true
	for _, e := range []Encoder{X264, NVENC, VAAPI, QSV} {
		fmt.Fprintf(
			&b,
			"# %s, all there is\n%s\n",
			e,
			strings.Join(command(e, full, start{picture: time.Minute, sound: 3_360_000}, 2), " "),
		)
		fmt.Fprintf(&b, "# %s, B-frames kept, interlaced source\n%s\n", e, strings.Join(command(e, keep, start{}, 1), " "))
	}
	fmt.Fprintf(&b, "# pixels become square\n%s\n", strings.Join(command(X264, square, start{}, 2), " "))
	fmt.Fprintf(
		&b,
		"# sound beside a picture that is passed through\n%s\n",
		strings.Join(command(X264, sound, start{}, 2), " "),
	)
	const golden = "testdata/commands.txt"
	if os.Getenv("UPDATE") != "" {
		if err := os.WriteFile(golden, []byte(b.String()), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	if b.String() != string(want) {
		t.Errorf("the command lines differ from %s (UPDATE=1 writes it):\n%s", golden, b.String())
	}
}
