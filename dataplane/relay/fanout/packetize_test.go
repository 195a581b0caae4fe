package fanout

import (
	"bytes"
	"testing"
	"time"

	"github.com/pion/rtp/codecs"

	"github.com/millrace/millrace/dataplane/media"
)

func nal(header byte, size int) []byte {
	b := make([]byte, size)
	for i := range b {
		b[i] = byte(i*31 + size)
	}
	b[0] = header
	return b
}

func frameOf(codec media.Codec, units ...[]byte) *media.Frame {
	f := &media.Frame{Track: &media.Track{Codec: codec}, Key: true, Ingest: time.Unix(1_700_000_000, 0), Units: units}
	for _, u := range units {
		f.Size += len(u)
	}
	return f
}

// What we cut, pion's depacketiser joins; fragments are equal but for the last.
func TestPacketizeH264(t *testing.T) {
	for name, units := range map[string][][]byte{
		"small":           {nal(0x41, 20)},
		"parameter sets":  {nal(0x67, 25), nal(0x68, 4), nal(0x65, 9000)},
		"exact fit":       {nal(0x65, MaxPayload)},
		"one too large":   {nal(0x65, MaxPayload+1)},
		"slices":          {nal(0x65, 3000), nal(0x65, 700), nal(0x65, 300), nal(0x65, 5000)},
		"many small ones": {nal(0x06, 600), nal(0x06, 600), nal(0x41, 600)},
	} {
		p := packetize(frameOf(media.H264, units...))
		var want, got []byte
		for _, u := range units {
			want = append(append(want, 0, 0, 0, 1), u...)
		}
		var depacketizer codecs.H264Packet
		for i := range p.Packets() {
			if n := len(p.Payload(i)); n == 0 || n > MaxPayload {
				t.Fatalf("%s: payload of %d bytes", name, n)
			}
			b, err := depacketizer.Unmarshal(p.Payload(i))
			if err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			got = append(got, b...)
		}
		if !bytes.Equal(got, want) {
			t.Errorf("%s: %d bytes came back of %d", name, len(got), len(want))
		}
		if name == "one too large" {
			if d := len(p.Payload(0)) - len(p.Payload(1)); p.Packets() != 2 || d < 0 || d > 1 {
				t.Errorf("fragments of %d and %d bytes", len(p.Payload(0)), len(p.Payload(1)))
			}
		}
	}
}

func TestPacketizeH265(t *testing.T) {
	unit := func(kind byte, size int) []byte {
		b := nal(kind<<1, size)
		b[1] = 1
		return b
	}
	units := [][]byte{unit(32, 24), unit(33, 40), unit(34, 8), unit(19, 5000), unit(19, 90)}
	p := packetize(frameOf(media.H265, units...))
	depacketizer := &codecs.H265Depacketizer{}
	var got []byte
	for i := range p.Packets() {
		b, err := depacketizer.Unmarshal(p.Payload(i))
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, b...)
	}
	var want []byte
	for _, u := range units {
		want = append(append(want, 0, 0, 0, 1), u...)
	}
	if !bytes.Equal(got, want) {
		t.Errorf("%d bytes came back of %d", len(got), len(want))
	}
}

func TestPacketizeRefusesWhatItCannotCarry(t *testing.T) {
	if packetize(frameOf(media.AAC, []byte{1, 2})) != nil {
		t.Error("AAC was packetised")
	}
	if packetize(frameOf(media.Opus, make([]byte, MaxPayload+1))) != nil {
		t.Error("an Opus frame beyond the packet size was packetised")
	}
	if p := packetize(frameOf(media.Opus, []byte{1, 2, 3})); p == nil || p.Packets() != 1 || len(p.Payload(0)) != 3 {
		t.Error("an Opus frame was not packetised")
	}
}

func TestClockWrapsModulo32Bits(t *testing.T) {
	day := 30 * 24 * time.Hour
	want := uint32(uint64(day/time.Second) * 90_000 % (1 << 32))
	if got := clock(day.Nanoseconds(), 90_000); got != want {
		t.Errorf("clock is %d, want %d", got, want)
	}
}

func FuzzPacketize(f *testing.F) {
	f.Add([]byte{0x67, 1, 2}, uint16(4000), true)
	f.Fuzz(func(t *testing.T, small []byte, size uint16, hevc bool) {
		if len(small) < 2 {
			return
		}
		codec := media.H264
		if hevc {
			codec = media.H265
		}
		p := packetize(frameOf(codec, small, nal(0x65, int(size)+3), small))
		for i := range p.Packets() {
			if n := len(p.Payload(i)); n == 0 || n > MaxPayload {
				t.Fatalf("payload of %d bytes", n)
			}
		}
	})
}
