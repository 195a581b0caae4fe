package pull

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/bluenviron/gortsplib/v4/pkg/format"
	"github.com/pion/rtp"

	"github.com/millrace/millrace/dataplane/media"
)

// unitsOf makes NAL units of a type with random content.
func unitsOf(r *rand.Rand, codec media.Codec, sizes ...int) [][]byte {
	var units [][]byte
	for _, n := range sizes {
		unit := make([]byte, n)
		for i := range unit {
			unit[i] = byte(r.IntN(255) + 1) // no start codes
		}
		unit[0] = 0x41
		if codec == media.H265 {
			unit[0], unit[1] = 0x02, 0x01
		}
		units = append(units, unit)
	}
	return units
}

func TestDepacketiserGivesWhatWasPacketised(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	h264, err := (&format.H264{PayloadTyp: 96, PacketizationMode: 1}).CreateEncoder()
	if err != nil {
		t.Fatal(err)
	}
	h265, err := (&format.H265{PayloadTyp: 96}).CreateEncoder()
	if err != nil {
		t.Fatal(err)
	}
	many := make([]int, 64) // slices, more than other depacketisers let pass
	for i := range many {
		many[i] = 40 + i
	}
	for codec, encoder := range map[media.Codec]unitEncoder{media.H264: h264, media.H265: h265} {
		d := &depacketiser{codec: codec}
		for _, sizes := range [][]int{{5}, {20, 10, 5000}, {1450, 1451, 1449}, {100_000}, many, {300, 9000, 7, 9000}} {
			want := unitsOf(r, codec, sizes...)
			packets, err := encoder.Encode(want)
			if err != nil {
				t.Fatal(err)
			}
			var got [][]byte
			for i, p := range packets {
				if got, err = d.take(p); err != nil {
					t.Fatalf("%s %v, packet %d: %v", codec, sizes, i, err)
				}
			}
			if fmt.Sprint(got) != fmt.Sprint(want) {
				t.Errorf("%s: units of %v bytes came out differently, as %d units", codec, sizes, len(got))
			}
		}
	}
}

func TestDepacketiserIsBounded(t *testing.T) {
	d := &depacketiser{codec: media.H264}
	failed := false
	for i := 0; i < 2*media.MaxAccessUnit/1400 && !failed; i++ {
		flags := byte(0x01)
		if i == 0 {
			flags |= 0x80
		}
		_, err := d.take(&rtp.Packet{Payload: append([]byte{0x7C, flags}, make([]byte, 1400)...)})
		failed = err != nil
	}
	if !failed {
		t.Fatal("an access unit without end is collected")
	}
	// What is left of it is passed over; the next one is taken.
	if units, err := d.take(&rtp.Packet{Header: rtp.Header{Marker: true}, Payload: []byte{0x41, 1}}); units != nil ||
		err != nil {
		t.Errorf("got %v, %v", units, err)
	}
	units, err := d.take(&rtp.Packet{Header: rtp.Header{Marker: true}, Payload: []byte{0x41, 2}})
	if err != nil || len(units) != 1 || !bytes.Equal(units[0], []byte{0x41, 2}) {
		t.Errorf("got %v, %v", units, err)
	}
}

func FuzzDepacketiser(f *testing.F) {
	f.Add([]byte{0x7C, 0x81, 1, 2}, []byte{0x7C, 0x41, 3}, false)
	f.Add([]byte{0x78, 0, 1, 0x41, 0, 2, 0x41, 1}, []byte{0x41}, false)
	f.Add([]byte{0x62, 1, 0x81, 2}, []byte{0x62, 1, 0x41, 3}, true)
	f.Add([]byte{0x60, 1, 0, 2, 2, 1}, []byte{2, 1, 0}, true)
	f.Fuzz(func(t *testing.T, first, second []byte, h265 bool) {
		codec := media.H264
		if h265 {
			codec = media.H265
		}
		d := &depacketiser{codec: codec}
		_, _ = d.take(&rtp.Packet{Payload: first})
		units, _ := d.take(&rtp.Packet{Header: rtp.Header{Marker: true}, Payload: second})
		size := 0
		for _, u := range units {
			if len(u) == 0 {
				t.Error("an empty NAL unit")
			}
			size += len(u)
		}
		if size > len(first)+len(second) {
			t.Errorf("%d bytes came out of %d", size, len(first)+len(second))
		}
	})
}
