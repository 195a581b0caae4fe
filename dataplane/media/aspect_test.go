package media_test

import (
	"encoding/json"
	"testing"

	"github.com/millrace/millrace/dataplane/media"
)

// The shape of pixels is read from the parameter set that x264 makes of 720x576 with SAR 64:45.
func TestTheShapeOfPixels(t *testing.T) {
	track, err := media.NewH264Track(unhex(spsAnamorphic), unhex(pps))
	if err != nil {
		t.Fatal(err)
	}
	if want := (media.Aspect{Width: 64, Height: 45}); track.Aspect != want {
		t.Errorf("aspect %s, want %s", track.Aspect, want)
	}
	if w, h := track.Shown(); w != 1024 || h != 576 {
		t.Errorf("shown as %dx%d, want 1024x576", w, h)
	}
	if track.ForBrowsers() {
		t.Error("browsers are believed to know the shape of pixels by RTP")
	}
	in := media.NewInspector()
	in.Track(track)
	text, err := json.Marshal(in.Facts())
	if err != nil {
		t.Fatal(err)
	}
	var back media.Facts
	if err := json.Unmarshal(text, &back); err != nil || back.PixelAspect != track.Aspect {
		t.Errorf("%s is read as %s (%v)", text, back.PixelAspect, err)
	}
	square, err := media.NewH264Track(unhex(sps), unhex(pps))
	if err != nil {
		t.Fatal(err)
	}
	w, h := square.Shown()
	if !square.Aspect.Square() || w != square.Width || h != square.Height || !square.ForBrowsers() {
		t.Errorf("aspect %s, shown as %dx%d", square.Aspect, w, h)
	}
}
