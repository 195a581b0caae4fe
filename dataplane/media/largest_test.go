package media_test

import (
	"math"
	"testing"

	"github.com/millrace/millrace/dataplane/media"
)

// bits writes an RBSP (ITU-T H.264, 7.2 and 9.1).
type bits struct {
	out []byte
	n   int
}

func (b *bits) u(n int, v uint) {
	for i := n - 1; i >= 0; i-- {
		if b.n%8 == 0 {
			b.out = append(b.out, 0)
		}
		b.out[b.n/8] |= byte(v>>i&1) << (7 - b.n%8)
		b.n++
	}
}

func (b *bits) ue(v uint) {
	length := 0
	for v+1 >= 1<<(length+1) {
		length++
	}
	b.u(length, 0)
	b.u(length+1, v+1)
}

// setOf makes a sequence parameter set of Baseline with an id and a size (7.3.2.1.1).
func setOf(id, width, height uint) []byte {
	b := &bits{out: []byte{0x67, 66, 0xc0, 62}, n: 32}
	b.ue(id)
	b.ue(0) // log2_max_frame_num_minus4
	b.ue(2) // pic_order_cnt_type
	b.ue(1) // max_num_ref_frames
	b.u(1, 0)
	b.ue(width/16 - 1)
	b.ue(height/16 - 1)
	b.u(1, 1) // frame_mbs_only_flag
	b.u(1, 1) // direct_8x8_inference_flag
	b.u(1, 0) // frame_cropping_flag
	b.u(1, 0) // vui_parameters_present_flag
	b.u(1, 1) // rbsp_stop_one_bit
	return b.out
}

// A source says its size in the set that comes first, and can switch to that of any other set at its next key frame.
func TestEverySetInForceIsMeasured(t *testing.T) {
	a := configured(t)
	if got := a.Track().Largest; got != 320*180 {
		t.Errorf("%d pixels of one set", got)
	}
	f, err := a.Frame([][]byte{unhex(sps), unhex(pps), setOf(1, 8192, 4096), unit(idr, 0b1_011_0000)})
	if err != nil {
		t.Fatal(err)
	}
	if f.Track.Width != 320 || f.Track.Largest != 8192*4096 {
		t.Errorf("%dx%d, the largest of %d pixels", f.Track.Width, f.Track.Height, f.Track.Largest)
	}
	f, err = a.Frame([][]byte{unhex(sps), unhex(pps), setOf(1, 8192, 4096)[:6], unit(idr, 0b1_011_0000)})
	if err != nil {
		t.Fatal(err)
	}
	if f.Track.Largest != math.MaxInt {
		t.Errorf("a set that cannot be read counts as %d pixels", f.Track.Largest)
	}
	if err := a.Configure([][]byte{unhex(sps), unhex(pps), setOf(2, 4096, 2304)}); err != nil {
		t.Fatal(err)
	}
	if got := a.Track().Largest; got != 4096*2304 {
		t.Errorf("%d pixels after a new header", got)
	}
	var none *media.Track
	if media.SameTrack(none, a.Track()) || !media.SameTrack(none, nil) {
		t.Error("no track is the same as one")
	}
}
