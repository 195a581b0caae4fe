package media_test

import (
	"slices"
	"testing"
	"time"

	"github.com/millrace/millrace/dataplane/media"
)

const sliceI = 0b1_011_0000 // ue 0, ue 2

// A recovery point is recognised behind other messages, however large, and nothing else is.
func TestRecoveryPointsAreRead(t *testing.T) {
	large := append([]byte{6, 5, 255, 45}, slices.Repeat([]byte{1}, 300)...) // user data of 300 bytes
	for name, c := range map[string]struct {
		units [][]byte
		want  bool
	}{
		"alone":                    {[][]byte{{6, 6, 1, 0x84, 0x80}, unit(ref, sliceP)}, true},
		"after 30 frames":          {[][]byte{{6, 6, 2, 0x07, 0xC8, 0x80}, unit(ref, sliceP)}, true},
		"behind other messages":    {[][]byte{append(slices.Clone(large), 6, 1, 0x84, 0x80), unit(ref, sliceP)}, true},
		"its number in other data": {[][]byte{{6, 5, 3, 6, 1, 0x84, 0x80}, unit(ref, sliceP)}, false},
		"cut short":                {[][]byte{large[:100], unit(ref, sliceP)}, false},
		"ends within its type":     {[][]byte{{6, 255, 255}, unit(ref, sliceP)}, false},
		"a size without an end":    {[][]byte{append([]byte{6, 5}, slices.Repeat([]byte{255}, 1<<20)...), unit(ref, sliceP)}, false},
		"empty":                    {[][]byte{{6}, unit(ref, sliceP)}, false},
		"none":                     {[][]byte{unit(ref, sliceP)}, false},
		"an IDR picture":           {[][]byte{{6, 6, 1, 0x84, 0x80}, unit(idr, sliceI)}, false},
	} {
		t.Run(name, func(t *testing.T) {
			f, err := configured(t).Frame(c.units)
			if err != nil || f == nil {
				t.Fatal(err)
			}
			if f.Recovery != c.want {
				t.Errorf("recovery point %t, want %t", f.Recovery, c.want)
			}
			if f.Recovery && !slices.Equal(types(f)[:2], []int{7, 8}) {
				t.Errorf("units %v: the parameter sets are not in front", types(f))
			}
		})
	}
}

// A container's key frame that is made of I slices becomes a recovery point that says so itself; one with other slices
// does not.
func TestKeyFramesOfTheContainerAreMarked(t *testing.T) {
	for name, c := range map[string]struct {
		slices []byte
		want   bool
	}{
		"I":       {[]byte{sliceI, sliceI}, true},
		"P":       {[]byte{sliceP}, false},
		"I and P": {[]byte{sliceI, sliceP}, false},
	} {
		t.Run(name, func(t *testing.T) {
			a := configured(t)
			var units [][]byte
			for _, s := range c.slices {
				units = append(units, unit(ref, s))
			}
			f, err := a.Frame(units)
			if err != nil {
				t.Fatal(err)
			}
			a.MarkRecovery(f)
			if f.Recovery != c.want {
				t.Fatalf("recovery point %t, want %t", f.Recovery, c.want)
			}
			size := 0
			for _, u := range f.Units {
				size += len(u)
			}
			if f.Size != size {
				t.Errorf("size %d, want %d", f.Size, size)
			}
			again, err := configured(t).Frame(f.Units)
			if err != nil || again.Recovery != c.want {
				t.Errorf("read again: recovery point %v (%v)", again.Recovery, err)
			}
		})
	}
}

// Recovery points are places to join where IDR pictures are rare, and only there.
func TestJoins(t *testing.T) {
	const second = time.Second
	for name, c := range map[string]struct {
		idr  []time.Duration
		want int // of the recovery points at 1, 2, ... 10 s
	}{
		"an IDR picture every 2 s": {[]time.Duration{0, 2 * second, 4 * second, 6 * second, 8 * second, 10 * second}, 0},
		"one at the beginning":     {[]time.Duration{0}, 8},
		"never":                    {nil, 10},
	} {
		t.Run(name, func(t *testing.T) {
			var joins media.Joins
			keys := 0
			for at := range 11 {
				dts := time.Duration(at) * second
				if slices.Contains(c.idr, dts) {
					joins.Mark(&media.Frame{Key: true, DTS: dts})
				} else if f := (&media.Frame{Recovery: at > 0, DTS: dts}); true {
					if joins.Mark(f); f.Key {
						keys++
					}
				}
			}
			if keys != c.want {
				t.Errorf("%d places to join, want %d", keys, c.want)
			}
		})
	}
}

// The verdict on a source does not change with each key frame: one that sends an IDR picture now and then lacks them as
// much as one that sends none, until two come in a row.
func TestRareIDRPicturesAreNotEnough(t *testing.T) {
	track, err := media.NewH264Track(unhex(sps), unhex(pps))
	if err != nil {
		t.Fatal(err)
	}
	in := media.NewInspector()
	at := time.Duration(0)
	for i, c := range []struct{ recovery, want bool }{
		{false, false}, {false, false}, {true, true}, {true, true}, {false, true}, {true, true}, {false, true},
		{false, false}, {true, true},
	} {
		at += 2 * time.Second
		in.Frame(&media.Frame{Track: track, Key: true, Recovery: c.recovery, DTS: at, PTS: at})
		if got := in.Facts().Refreshed; got != c.want {
			t.Errorf("after key frame %d: refreshed %t, want %t", i, got, c.want)
		}
	}
	later := media.NewInspector()
	later.Told(in.Facts())
	later.Frame(&media.Frame{Track: track, Key: true, DTS: at, PTS: at})
	if !later.Facts().Refreshed {
		t.Error("what was told of the source is not believed")
	}
}
