package meter

import (
	"math/rand/v2"
	"testing"
	"time"

	"github.com/pion/rtcp"

	"github.com/millrace/millrace/dataplane/media"
)

// source makes the packets of a video stream: frames of 5 packets at 25 fps, a key frame every 10.
type source struct {
	seq   uint16
	start int64
}

const (
	perFrame = 5
	interval = int64(40 * time.Millisecond)
)

func (s *source) frame(n int) []*Packet {
	out := make([]*Packet, 0, perFrame)
	for i := range perFrame {
		payload := []byte{0x61, 0}
		if n%10 == 0 {
			payload = []byte{0x65, 0}
		}
		out = append(out, &Packet{
			Codec: media.H264, SSRC: 1, Seq: s.seq, Time: uint32(n) * 3600, Marker: i == perFrame-1, Size: 1000,
			Payload: payload,
			Arrival: s.start + int64(n)*interval + int64(i), Capture: s.start + int64(n)*interval - int64(30*time.Millisecond),
		})
		s.seq++
	}
	return out
}

func newSource() *source { return &source{seq: 65500, start: time.Now().UnixNano()} }

func play(frames int, edit func(n int, packets []*Packet) []*Packet) (*Viewer, Stats) {
	s := newSource()
	v := NewViewer(time.Unix(0, s.start-int64(50*time.Millisecond)), false)
	for n := range frames {
		packets := s.frame(n)
		if edit != nil {
			packets = edit(n, packets)
		}
		for _, p := range packets {
			v.Packet(p)
		}
	}
	return v, v.Snapshot(time.Unix(0, s.start+int64(frames-1)*interval+perFrame))
}

func TestPlainStreamHasNoLossAndTheSourceRate(t *testing.T) {
	_, got := play(100, nil)
	if got.Packets != 500 || got.Lost != 0 || got.Duplicates != 0 || got.Recovered != 0 {
		t.Errorf(
			"packets %d lost %d duplicates %d recovered %d, want 500 0 0 0",
			got.Packets,
			got.Lost,
			got.Duplicates,
			got.Recovered,
		)
	}
	if got.Frames != 100 || got.DecodableFrames != 100 || got.KeyFrames != 10 || got.Stalls != 0 {
		t.Errorf(
			"frames %d decodable %d key %d stalls %d, want 100 100 10 0",
			got.Frames,
			got.DecodableFrames,
			got.KeyFrames,
			got.Stalls,
		)
	}
	if got.FPS < 24.99 || got.FPS > 25.01 {
		t.Errorf("%f fps, want 25", got.FPS)
	}
	if got.VideoKbps < 999 || got.VideoKbps > 1001 {
		t.Errorf("%f kbit/s, want 1000", got.VideoKbps)
	}
	if got.FirstFrameMs != 50 || got.Clock != ClockCapture || got.Latency.P50 < 29 || got.Latency.P50 > 31 {
		t.Errorf("first frame %f ms, latency %+v by %q", got.FirstFrameMs, got.Latency, got.Clock)
	}
}

func TestLossIsCountedExactly(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	dropped := uint64(0)
	_, got := play(400, func(n int, packets []*Packet) []*Packet {
		if n == 0 || n == 399 {
			return packets
		}
		kept := packets[:0]
		for _, p := range packets {
			if random.IntN(10) == 0 {
				dropped++
				continue
			}
			kept = append(kept, p)
		}
		return kept
	})
	if got.Lost != dropped || got.Packets != 2000-dropped {
		t.Errorf("lost %d of %d dropped, %d packets", got.Lost, dropped, got.Packets)
	}
}

func TestRepairedDuplicateAndReorderedPacketsAreToldApart(t *testing.T) {
	var held *Packet
	v, got := play(50, func(n int, packets []*Packet) []*Packet {
		switch n {
		case 3: // overtaken
			packets[1], packets[2] = packets[2], packets[1]
		case 5: // twice
			return append(packets, packets[0])
		case 7: // lost now, repaired on its own SSRC with frame 8
			held = packets[2]
			return append(packets[:2], packets[3:]...)
		case 8:
			held.Repair, held.Arrival = true, packets[0].Arrival
			return append(packets, held)
		}
		return packets
	})
	if got.Reordered != 1 || got.Duplicates != 1 || got.Recovered != 1 || got.Lost != 0 {
		t.Errorf(
			"reordered %d duplicates %d recovered %d lost %d, want 1 1 1 0",
			got.Reordered,
			got.Duplicates,
			got.Recovered,
			got.Lost,
		)
	}
	if got.DecodableFrames != 50 || got.DamagedFrames != 0 {
		t.Errorf("decodable %d damaged %d, want 50 0", got.DecodableFrames, got.DamagedFrames)
	}
	if nacks := v.Feedback(time.Now().Add(time.Second), 9); len(nacks) != 0 {
		t.Errorf("feedback %v, want none: nothing is missing", nacks)
	}
}

func TestMissingPacketIsAskedForAndCountsAsRecovered(t *testing.T) {
	s := newSource()
	v := NewViewer(time.Unix(0, s.start), false)
	packets := s.frame(0)
	for i, p := range packets {
		if i != 2 {
			v.Packet(p)
		}
	}
	if got := v.Feedback(time.Unix(0, s.start+int64(time.Millisecond)), 9); len(got) != 0 {
		t.Fatalf("asked after 1 ms, when the packet may just be late: %v", got)
	}
	got := v.Feedback(time.Unix(0, s.start+int64(20*time.Millisecond)), 9)
	nack, ok := got[0].(*rtcp.TransportLayerNack)
	if len(got) != 1 || !ok || nack.Nacks[0].PacketID != packets[2].Seq || nack.MediaSSRC != 1 || nack.SenderSSRC != 9 {
		t.Fatalf("feedback %v, want a NACK for %d", got, packets[2].Seq)
	}
	v.Packet(packets[2])
	if stats := v.Snapshot(time.Now()); stats.Recovered != 1 || stats.Lost != 0 || stats.Frames != 1 {
		t.Errorf("recovered %d lost %d frames %d, want 1 0 1", stats.Recovered, stats.Lost, stats.Frames)
	}
}

func TestNothingDecodesFromADamagedFrameToTheNextKeyFrame(t *testing.T) {
	_, got := play(50, func(n int, packets []*Packet) []*Packet {
		if n == 12 {
			return append(packets[:1], packets[2:]...)
		}
		return packets
	})
	// Frame 12 is damaged, 13 to 19 refer to it, 20 is a key frame.
	if got.DamagedFrames != 1 || got.Frames != 49 || got.DecodableFrames != 42 {
		t.Errorf("damaged %d complete %d decodable %d, want 1 49 42", got.DamagedFrames, got.Frames, got.DecodableFrames)
	}
	// The gap of 8 frames is seen, and a hole is waited for before it is given up.
	if got.Stalls == 0 || got.StalledMs < 200 {
		t.Errorf("%d stalls, %f ms, want at least one of 200 ms", got.Stalls, got.StalledMs)
	}
}

func TestAKeyFrameIsAskedForWhenTheChainIsBroken(t *testing.T) {
	s := newSource()
	v := NewViewer(time.Unix(0, s.start), false)
	for n := range 5 {
		for i, p := range s.frame(n) {
			if n != 2 || i != 1 {
				v.Packet(p)
			}
		}
	}
	later := time.Unix(0, s.start).Add(5 * time.Second)
	found := false
	for range 3 {
		for _, packet := range v.Feedback(later, 9) {
			_, pli := packet.(*rtcp.PictureLossIndication)
			found = found || pli
		}
		later = later.Add(2 * patience)
	}
	if !found {
		t.Error("no PLI although a packet of frame 2 is gone for good")
	}
}

func TestFirstPictureWaitsForACompleteKeyFrame(t *testing.T) {
	_, got := play(30, func(n int, packets []*Packet) []*Packet {
		if n < 4 { // join in the middle of a GOP
			return nil
		}
		return packets
	})
	if want := 50 + 10*40.0; got.FirstFrameMs < want || got.FirstFrameMs > want+1 {
		t.Errorf("first frame after %f ms, want %f: frame 10 is the first key frame", got.FirstFrameMs, want)
	}
	if got.FirstPacketMs != 50+4*40 || got.DecodableFrames != 20 {
		t.Errorf("first packet %f ms, %d decodable frames, want 210 and 20", got.FirstPacketMs, got.DecodableFrames)
	}
}

func TestSilenceAtTheEndIsAStallUnlessTheServerEnded(t *testing.T) {
	for _, ended := range []string{EndedByServer, "the duration is over"} {
		s := newSource()
		v := NewViewer(time.Unix(0, s.start), false)
		for n := range 30 {
			for _, p := range s.frame(n) {
				v.Packet(p)
			}
		}
		end := time.Unix(0, s.start+29*interval).Add(2 * time.Second)
		v.Stop(end, ended)
		want := uint64(1)
		if ended == EndedByServer {
			want = 0
		}
		if got := v.Snapshot(time.Now()); got.Stalls != want {
			t.Errorf("%s: %d stalls, want %d", ended, got.Stalls, want)
		}
	}
}

func TestLatencyFallsBackToSenderReports(t *testing.T) {
	s := newSource()
	v := NewViewer(time.Unix(0, s.start), false)
	for n := range 60 {
		for _, p := range s.frame(n) {
			p.Capture = 0
			v.Packet(p)
		}
		if n == 0 {
			at := time.Unix(0, s.start-int64(70*time.Millisecond))
			ntp := uint64(at.Unix()+2208988800)<<32 | uint64(at.Nanosecond())<<32/1_000_000_000
			v.SenderReport(1, ntp, 0)
		}
	}
	got := v.Snapshot(time.Now())
	if got.Clock != ClockReport || got.Latency == nil || got.Latency.P50 < 68 || got.Latency.P50 > 72 {
		t.Errorf("latency %+v by %q, want 70 ms by %s", got.Latency, got.Clock, ClockReport)
	}
}

func TestHistogramQuantilesAreWithinThreePercent(t *testing.T) {
	var h Histogram
	for i := 1; i <= 100_000; i++ {
		h.Add(time.Duration(i) * 7 * time.Microsecond)
	}
	for _, q := range []float64{0.01, 0.5, 0.95, 0.99} {
		want := q * 100_000 * 7
		got := float64(h.Quantile(q) / time.Microsecond)
		if got < want*0.97 || got > want*1.04 {
			t.Errorf("quantile %.2f is %.0f us, want about %.0f", q, got, want)
		}
	}
	h.Add(24 * time.Hour) // beyond the last bucket
	h.Add(-time.Second)
	if h.Max() != 24*time.Hour || h.Negative() != 1 || h.Count() != 100_002 {
		t.Errorf("max %v negative %d count %d", h.Max(), h.Negative(), h.Count())
	}
}

func BenchmarkPacket(b *testing.B) {
	s := newSource()
	v := NewViewer(time.Unix(0, s.start), false)
	var packets []*Packet
	for n := range 20000 {
		packets = append(packets, s.frame(n)...)
	}
	b.ReportAllocs()
	b.ResetTimer()
	for i := range b.N {
		p := packets[i%len(packets)]
		v.Packet(p)
	}
}
