package media_test

import (
	"slices"
	"testing"

	"github.com/millrace/millrace/dataplane/media"
)

// Captions come with each picture (ITU-T H.264, D.1.6): what it costs to look for a recovery point in them.
func BenchmarkSEIOfCaptions(b *testing.B) {
	a := media.NewAccessUnits(media.H264)
	if err := a.Configure([][]byte{unhex(sps), unhex(pps)}); err != nil {
		b.Fatal(err)
	}
	captions := append([]byte{6, 4, 96}, slices.Repeat([]byte{0xB5}, 96)...)
	slice := unit(ref, sliceP)
	units := make([][]byte, 0, 4)
	b.ReportAllocs()
	for b.Loop() {
		if f, err := a.Frame(append(units, captions, slice)); err != nil || f.Recovery {
			b.Fatal("captions are taken for a recovery point")
		}
	}
}
