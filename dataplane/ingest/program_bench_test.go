package ingest

import (
	"bytes"
	"testing"
	"time"
)

// BenchmarkTake is the way of one video message of 8 kB from the wire to a frame: chunks, tag, NAL units, time stamp,
// facts.
func BenchmarkTake(b *testing.B) {
	p := newProgram()
	avc := append([]byte{0x17, 0, 0, 0, 0, 1, 0x64, 0, 12, 0xFF, 0xE1, 0, 26}, unhex(hexSPS)...)
	avc = append(append(avc, 1, 0, 6), unhex(hexPPS)...)
	if _, _, err := p.take(rawMessage{typ: typeVideo, body: avc}, time.Now()); err != nil {
		b.Fatal(err)
	}
	unit := append([]byte{h264P, 0b1_00110_00}, bytes.Repeat([]byte{0xAB}, 8000)...)
	body := append([]byte{0x27, 1, 0, 0, 0, 0, 0, byte(len(unit) >> 8), byte(len(unit))}, unit...)
	wire := append([]byte{6, 0, 0, 0, 0, byte(len(body) >> 8), byte(len(body)), typeVideo, 1, 0, 0, 0}, []byte(nil)...)
	for i := 0; i < len(body); i += 4096 { // in chunks of 4096 bytes, as OBS sends them
		if i > 0 {
			wire = append(wire, 0xC6)
		}
		wire = append(wire, body[i:min(i+4096, len(body))]...)
	}
	source := bytes.NewReader(nil)
	r := chunks(nil, defaultLimits())
	r.size = 4096
	now := time.Now()
	b.SetBytes(int64(len(wire)))
	b.ReportAllocs()
	for b.Loop() {
		source.Reset(wire)
		r.r.Reset(source)
		m, err := r.next()
		if err != nil {
			b.Fatal(err)
		}
		now = now.Add(33 * time.Millisecond)
		if frame, _, err := p.take(m, now); err != nil || frame == nil {
			b.Fatal(frame, err)
		}
	}
}
