package viewer

import (
	"sync/atomic"
	"time"

	"github.com/pion/rtp"
	"github.com/pion/rtp/codecs"
	"github.com/pion/webrtc/v4"
)

// media reads a track to its end. Packets that come after a later one are left out, and counted.
func (v *Viewer) media(t *webrtc.TrackRemote, r *webrtc.RTPReceiver) {
	var near atomic.Int64
	video := t.Kind() == webrtc.RTPCodecTypeVideo
	var once bool
	var want uint16
	a := access{on: v.on}
	for {
		p, _, err := t.ReadRTP()
		if err != nil {
			return
		}
		if len(p.Payload) == 0 { // a probe
			want = p.SequenceNumber + 1
			continue
		}
		if !once {
			once, want = true, p.SequenceNumber
			near.Store(1<<32 + int64(p.Timestamp))
			v.reads.Go(func() { v.reports(r, video, &near) })
		}
		if d := int16(p.SequenceNumber - want); d < 0 {
			continue
		} else if d > 0 {
			v.gaps.Add(int64(d))
		}
		want = p.SequenceNumber + 1
		ts := extend(near.Load(), p.Timestamp)
		near.Store(ts)
		if video {
			a.add(p, ts)
		} else {
			v.on(Frame{Time: ts, At: time.Now(), Data: p.Payload})
		}
	}
}

// access puts access units together.
type access struct {
	on     func(Frame)
	packet codecs.H264Packet
	frame  Frame
}

func (a *access) add(p *rtp.Packet, ts int64) {
	if a.frame.Time != ts {
		a.frame = Frame{Video: true, Time: ts}
	}
	b, err := a.packet.Unmarshal(p.Payload)
	if err != nil {
		return
	}
	a.frame.Data = append(a.frame.Data, b...)
	if !p.Marker || len(a.frame.Data) == 0 {
		return
	}
	a.frame.At = time.Now()
	a.frame.Key, a.frame.B = look(a.frame.Data)
	a.on(a.frame)
	a.frame = Frame{}
}

// look finds out what kind of picture an access unit of H.264 is.
func look(annexB []byte) (key, b bool) {
	for i := 0; i+4 < len(annexB); i++ {
		if annexB[i] != 0 || annexB[i+1] != 0 || annexB[i+2] != 1 {
			continue
		}
		unit := annexB[i+3:]
		switch unit[0] & 0x1f {
		case 5:
			key = true
		case 1:
			b = b || sliceType(unit[1:])%5 == 1
		}
	}
	return key, b
}

// sliceType reads the second number of a slice header (ITU-T H.264, 7.3.3).
func sliceType(header []byte) uint {
	at := 0
	bit := func() uint {
		if at/8 >= len(header) {
			return 1
		}
		v := uint(header[at/8]>>(7-at%8)) & 1
		at++
		return v
	}
	number := func() uint { // Exp-Golomb, 9.1
		zeros := 0
		for bit() == 0 && zeros < 31 {
			zeros++
		}
		v := uint(1)
		for range zeros {
			v = v<<1 | bit()
		}
		return v - 1
	}
	number() // first_mb_in_slice
	return number()
}
