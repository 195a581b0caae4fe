package mux_test

import (
	"bytes"
	"encoding/hex"
	"testing"

	"github.com/abema/go-mp4"

	"github.com/millrace/millrace/dataplane/media"
	"github.com/millrace/millrace/dataplane/mux"
)

// An initialisation segment tells the shape of pixels, of which players of MP4 hear nowhere else; square ones are not
// mentioned.
func TestTheInitialisationSegmentHasTheShapeOfPixels(t *testing.T) {
	unhex := func(text string) []byte {
		b, err := hex.DecodeString(text)
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	square, err := media.NewH264Track(unhex("6764000cacd941419f9f011000000300100000030320f1429960"), unhex("68ebe3cb22c0"))
	if err != nil {
		t.Fatal(err)
	}
	anamorphic := *square
	anamorphic.Aspect = media.Aspect{Width: 64, Height: 45}
	for name, c := range map[string]struct {
		track *media.Track
		want  []mp4.PixelAspectRatioBox
	}{
		"square": {square, nil},
		"64:45":  {&anamorphic, []mp4.PixelAspectRatioBox{{HSpacing: 64, VSpacing: 45}}},
	} {
		t.Run(name, func(t *testing.T) {
			var p mux.FMP4
			sound, err := media.NewOpusTrack(2)
			if err != nil {
				t.Fatal(err)
			}
			init, err := p.Init(c.track, sound)
			if err != nil {
				t.Fatal(err)
			}
			path := mp4.BoxPath{
				mp4.BoxTypeMoov(), mp4.BoxTypeTrak(), mp4.BoxTypeMdia(), mp4.BoxTypeMinf(), mp4.BoxTypeStbl(), mp4.BoxTypeStsd(),
				mp4.BoxTypeAvc1(),
			}
			entries, err := mp4.ExtractBox(bytes.NewReader(init), nil, path)
			if err != nil || len(entries) != 1 {
				t.Fatalf("%d sample entries of H.264 (%v)", len(entries), err)
			}
			found, err := mp4.ExtractBoxWithPayload(bytes.NewReader(init), nil, append(path, mp4.BoxTypePasp()))
			if err != nil {
				t.Fatal(err)
			}
			if len(found) != len(c.want) {
				t.Fatalf("%d boxes, want %d", len(found), len(c.want))
			}
			for i, box := range found {
				got, is := box.Payload.(*mp4.PixelAspectRatioBox)
				if !is || got.HSpacing != c.want[i].HSpacing || got.VSpacing != c.want[i].VSpacing {
					t.Errorf("box %+v, want %+v", box.Payload, c.want[i])
				}
			}
			tracks, err := mp4.ExtractBox(bytes.NewReader(init), nil, path[:2])
			if err != nil || len(tracks) != 2 {
				t.Errorf("%d tracks (%v)", len(tracks), err)
			}
		})
	}
}
