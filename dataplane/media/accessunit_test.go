package media_test

import (
	"bytes"
	"encoding/hex"
	"errors"
	"slices"
	"testing"

	"github.com/millrace/millrace/dataplane/media"
)

// Parameter sets made by x264 and x265.
const (
	sps = "6764000cacd941419f9f011000000300100000030320f1429960" // High, 320x180
	pps = "68ebe3cb22c0"
	// 720x576, sample aspect ratio 64:45
	spsAnamorphic = "6742c01eda02d049bff0040002d1000003000100000300320f162ea0"
	sps2          = "6742c01ed900a02ff97011000003000100000300320f162e48" // Constrained Baseline, 640x360
	pps2          = "68cb83cb20"
	vps265        = "40010c01ffff01600000030090000003000003003c959809"
	sps265        = "42010101600000030090000003000003003ca00a080b9f796566924caf016808000003000800000300c840"
	pps265        = "4401c172b46240"
)

func unhex(s string) []byte {
	b, err := hex.DecodeString(s)
	if err != nil {
		panic(err)
	}
	return b
}

// unit is a made-up NAL unit whose slice header says first_mb_in_slice 0 and a slice type given by three bits of
// Exp-Golomb.
func unit(header, sliceHeader byte) []byte { return []byte{header, sliceHeader, 0xAB, 0xCD} }

const (
	sliceP  = 0b1_1_000000 // ue 0, ue 0
	sliceB  = 0b1_010_0000 // ue 0, ue 1
	sliceB6 = 0b1_00111_00 // ue 0, ue 6: all slices of the picture are B
	idr     = 0x65
	ref     = 0x41
	noref   = 0x01
)

func configured(t *testing.T) *media.AccessUnits {
	t.Helper()
	a := media.NewAccessUnits(media.H264)
	if err := a.Configure([][]byte{unhex(sps), unhex(pps)}); err != nil {
		t.Fatal(err)
	}
	return a
}

func types(f *media.Frame) []int {
	var out []int
	for _, u := range f.Units {
		out = append(out, int(u[0]&0x1F))
	}
	return out
}

func TestAccessUnitsAreCleaned(t *testing.T) {
	aud, filler, sei := []byte{9, 0xF0}, []byte{12, 0xFF, 0x80}, []byte{6, 5, 1, 0}
	for name, c := range map[string]struct {
		units           [][]byte
		want            []int
		key, disposable bool
	}{
		"a key frame gets its sets": {[][]byte{aud, sei, unit(idr, sliceP)}, []int{7, 8, 6, 5}, true, false},
		"a key frame with sets keeps one pair": {[][]byte{aud, unhex(sps), unhex(pps), unit(idr, sliceP)}, []int{7, 8, 5},
			true, false},
		"several slices":              {[][]byte{unit(ref, sliceP), unit(ref, sliceP), filler}, []int{1, 1}, false, false},
		"a frame that none refers to": {[][]byte{aud, unit(noref, sliceB)}, []int{1}, false, true},
		"one slice is referred to":    {[][]byte{unit(noref, sliceP), unit(ref, sliceP)}, []int{1, 1}, false, false},
	} {
		t.Run(name, func(t *testing.T) {
			a := configured(t)
			f, err := a.Frame(c.units)
			if err != nil || f == nil {
				t.Fatalf("frame %v, %v", f, err)
			}
			size := 0
			for _, u := range f.Units {
				size += len(u)
			}
			if !slices.Equal(types(f), c.want) || f.Key != c.key || f.Disposable != c.disposable || f.Size != size ||
				f.Track != a.Track() {
				t.Errorf("units %v, key %v, disposable %v, size %d", types(f), f.Key, f.Disposable, f.Size)
			}
		})
	}
}

func TestAccessUnitsWithoutAPictureAreNoFrames(t *testing.T) {
	a := configured(t)
	for _, units := range [][][]byte{nil, {{9, 0xF0}}, {unhex(sps), unhex(pps)}, {{6, 5, 1, 0}}, {{}}} {
		if f, err := a.Frame(units); f != nil || err != nil {
			t.Errorf("%x: %v, %v", units, f, err)
		}
	}
	if _, err := media.NewAccessUnits(media.H264).Frame([][]byte{unit(idr, sliceP)}); !errors.Is(
		err,
		media.ErrNoParameterSets,
	) {
		t.Errorf("before the parameter sets: %v", err)
	}
}

func TestNewParameterSetsMakeANewTrack(t *testing.T) {
	a := configured(t)
	first := a.Track()
	if first.Width != 320 || first.Height != 180 || !bytes.Equal(first.SPS, unhex(sps)) {
		t.Errorf("track %+v", first)
	}
	if f, _ := a.Frame([][]byte{unhex(sps), unhex(pps), unit(idr, sliceP)}); f.Track != first {
		t.Error("the same sets made a new track")
	}
	f, err := a.Frame([][]byte{unhex(sps2), unhex(pps2), unit(idr, sliceP)})
	if err != nil || f.Track == first || f.Track.Width != 640 || f.Track.Height != 360 {
		t.Fatalf("frame %+v, %v", f, err)
	}
	if !slices.Equal(types(f), []int{7, 8, 5}) || !bytes.Equal(f.Units[0], unhex(sps2)) {
		t.Errorf("units %x", f.Units)
	}
	if f, _ = a.Frame([][]byte{unit(idr, sliceP)}); !bytes.Equal(f.Units[0], unhex(sps2)) ||
		!bytes.Equal(f.Units[1], unhex(pps2)) {
		t.Errorf("the sets that came in the stream are not put in front: %x", f.Units)
	}
	if first.Width != 320 {
		t.Error("the old track was changed")
	}
	// Back by a new sequence header.
	if err := a.Configure([][]byte{unhex(sps), unhex(pps)}); err != nil || a.Track().Width != 320 {
		t.Errorf("track %+v, %v", a.Track(), err)
	}
	if err := a.Configure([][]byte{unhex(sps)}); err == nil {
		t.Error("half a sequence header was taken")
	}
	if err := a.Configure([][]byte{{0x67, 1, 2}, unhex(pps)}); err == nil || a.Track().Width != 320 {
		t.Errorf("a broken sequence header: %v, %+v", err, a.Track())
	}
}

func TestASecondPictureParameterSetIsKept(t *testing.T) {
	second := []byte{0x68, 0b010_01011, 0xE3, 0xCB, 0x22, 0xC0} // pic_parameter_set_id 1
	a := configured(t)
	track := a.Track()
	if f, err := a.Frame([][]byte{second, unit(ref, sliceP)}); err != nil || f.Track != track ||
		!slices.Equal(types(f), []int{8, 1}) {
		t.Fatalf("frame %+v, %v", f, err)
	}
	if f, _ := a.Frame([][]byte{unit(idr, sliceP)}); !slices.Equal(types(f), []int{7, 8, 8, 5}) {
		t.Errorf("units %v", types(f))
	}
}

func TestH265AccessUnits(t *testing.T) {
	a := media.NewAccessUnits(media.H265)
	if err := a.Configure([][]byte{unhex(vps265), unhex(sps265), unhex(pps265)}); err != nil {
		t.Fatal(err)
	}
	if tr := a.Track(); tr.Codec != media.H265 || tr.Width != 320 || tr.Height != 180 {
		t.Errorf("track %+v", tr)
	}
	for typ, key := range map[byte]bool{1: false, 0: false, 19: true, 20: true, 21: true, 9: false} {
		f, err := a.Frame([][]byte{{35 << 1, 1, 0x50}, {typ << 1, 1, 0x80, 1}, {38 << 1, 1, 0xFF}})
		want := 1
		if key {
			want = 4
		}
		if err != nil || f.Key != key || len(f.Units) != want || f.Disposable {
			t.Errorf("type %d: %+v, %v", typ, f, err)
		}
	}
}

func TestTracks(t *testing.T) {
	if tr, err := media.NewAACTrack([]byte{0x11, 0x90}); err != nil || tr.SampleRate != 48000 || tr.Channels != 2 ||
		tr.Codec != media.AAC {
		t.Errorf("AAC-LC: %+v, %v", tr, err)
	}
	if tr, err := media.NewOpusTrack(1); err != nil || tr.SampleRate != 48000 || tr.Channels != 1 {
		t.Errorf("Opus: %+v, %v", tr, err)
	}
	for name, err := range map[string]error{
		"AAC empty":       second(media.NewAACTrack(nil)),
		"AAC long":        second(media.NewAACTrack(make([]byte, 100))),
		"AAC by elements": second(media.NewAACTrack([]byte{0x11, 0x80})),
		"Opus 6 channels": second(media.NewOpusTrack(6)),
		"H264 no PPS":     second(media.NewH264Track(unhex(sps), nil)),
		"H264 bad SPS":    second(media.NewH264Track([]byte{0x67}, unhex(pps))),
		"H265 as H264":    second(media.NewH264Track(unhex(sps265), unhex(pps))),
		"H265 no VPS":     second(media.NewH265Track(nil, unhex(sps265), unhex(pps265))),
	} {
		if err == nil {
			t.Errorf("%s was accepted", name)
		}
	}
}

func second(_ *media.Track, err error) error { return err }

func TestSplitUnits(t *testing.T) {
	for name, c := range map[string]struct {
		au   string
		size int
		want []string
	}{
		"four bytes":        {"\x00\x00\x00\x02ab\x00\x00\x00\x01c", 4, []string{"ab", "c"}},
		"two bytes":         {"\x00\x02ab\x00\x01c", 2, []string{"ab", "c"}},
		"one byte":          {"\x02ab\x01c", 1, []string{"ab", "c"}},
		"empty ones go":     {"\x00\x02ab\x00", 1, []string{"ab"}},
		"nothing":           {"", 4, []string{}},
		"longer than it is": {"\x00\x00\x00\x03ab", 4, nil},
		"cut in the length": {"\x02ab\x00\x00\x00", 4, nil},
		"no length":         {"ab", 0, nil},
		"too many":          {string(bytes.Repeat([]byte{1, 'a'}, media.MaxUnits+1)), 1, nil},
	} {
		t.Run(name, func(t *testing.T) {
			units, err := media.SplitUnits([]byte(c.au), c.size)
			if (err == nil) != (c.want != nil) {
				t.Fatalf("error %v", err)
			}
			var got []string
			for _, u := range units {
				got = append(got, string(u))
			}
			if !slices.Equal(got, c.want) && len(got)+len(c.want) > 0 {
				t.Errorf("units %q", got)
			}
		})
	}
}

func TestDecoderConfigs(t *testing.T) {
	avc := append([]byte{1, 0x64, 0, 12, 0xFF, 0xE1, 0, 26}, unhex(sps)...)
	avc = append(append(avc, 1, 0, 6), unhex(pps)...)
	c, err := media.ParseAVCConfig(avc)
	if err != nil || c.LengthSize != 4 || len(c.Sets) != 2 || !bytes.Equal(c.Sets[1], unhex(pps)) {
		t.Errorf("avcC: %+v, %v", c, err)
	}
	hevc := append(make([]byte, 21), 0xFD, 4) // lengths of 2 bytes, 4 arrays
	hevc[0] = 1
	for _, s := range []string{vps265, sps265, pps265} {
		b := unhex(s)
		hevc = append(hevc, b[0]>>1, 0, 1, 0, byte(len(b)))
		hevc = append(hevc, b...)
	}
	hevc = append(hevc, 39, 0, 1, 0, 3, 39<<1, 1, 5) // an SEI message
	c, err = media.ParseHEVCConfig(hevc)
	if err != nil || c.LengthSize != 2 || len(c.Sets) != 3 || !bytes.Equal(c.Sets[0], unhex(vps265)) {
		t.Errorf("hvcC: %+v, %v", c, err)
	}
	for i := range avc {
		if _, err := media.ParseAVCConfig(avc[:i]); err == nil {
			t.Errorf("%d of %d bytes of an avcC were taken", i, len(avc))
		}
	}
	for i := range hevc {
		if _, err := media.ParseHEVCConfig(hevc[:i]); err == nil {
			t.Errorf("%d of %d bytes of an hvcC were taken", i, len(hevc))
		}
	}
}

// FuzzAccessUnits: no input panics, and frames keep their promises.
func FuzzAccessUnits(f *testing.F) {
	f.Add(
		append(
			append([]byte{0, 0, 0, 26}, unhex(sps)...),
			append([]byte{0, 0, 0, 6}, append(unhex(pps), 0, 0, 0, 2, 0x65, 0x88)...)...),
		false,
	)
	f.Add([]byte{0, 0, 0, 4, 0x26, 1, 0xAF, 0x1D}, true)
	f.Fuzz(func(t *testing.T, au []byte, h265 bool) {
		codec := media.H264
		if h265 {
			codec = media.H265
		}
		a := media.NewAccessUnits(codec)
		in := media.NewInspector()
		for range 3 {
			units, err := media.SplitUnits(bytes.Clone(au), 4)
			if err != nil {
				return
			}
			frame, err := a.Frame(units)
			if err != nil || frame == nil {
				continue
			}
			size := 0
			for _, u := range frame.Units {
				if len(u) == 0 {
					t.Fatal("an empty unit")
				}
				size += len(u)
			}
			if size != frame.Size || frame.Track == nil || frame.Track.Width <= 0 || frame.Key && frame.Disposable {
				t.Fatalf("frame %+v", frame)
			}
			in.Frame(frame)
		}
		_ = in.Facts()
	})
}

// FuzzDecoderConfig: no record panics; what is read is inside of the record.
func FuzzDecoderConfig(f *testing.F) {
	f.Add([]byte{1, 0x64, 0, 12, 0xFF, 0xE1, 0, 1, 0x67, 1, 0, 1, 0x68})
	f.Fuzz(func(t *testing.T, b []byte) {
		for _, parse := range []func([]byte) (media.DecoderConfig, error){media.ParseAVCConfig, media.ParseHEVCConfig} {
			c, err := parse(b)
			if err != nil {
				continue
			}
			size := 0
			for _, s := range c.Sets {
				size += len(s)
			}
			if size > len(b) || c.LengthSize < 1 || c.LengthSize > 4 {
				t.Fatalf("%+v", c)
			}
		}
	})
}
