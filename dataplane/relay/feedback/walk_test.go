package feedback

import (
	"reflect"
	"testing"

	"github.com/pion/rtcp"
)

func marshal(t testing.TB, packets ...rtcp.Packet) []byte {
	t.Helper()
	b, err := rtcp.Marshal(packets)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestWalk(t *testing.T) {
	b := marshal(
		t,
		&rtcp.ReceiverReport{
			SSRC:              1,
			Reports:           []rtcp.ReceptionReport{{SSRC: 7, FractionLost: 25, LastSenderReport: 9, Delay: 4}, {SSRC: 8}},
			ProfileExtensions: []byte{1, 2, 3, 4},
		},
		&rtcp.SourceDescription{
			Chunks: []rtcp.SourceDescriptionChunk{
				{Source: 1, Items: []rtcp.SourceDescriptionItem{{Type: rtcp.SDESCNAME, Text: "x"}}},
			},
		},
		&rtcp.TransportLayerNack{
			SenderSSRC: 1,
			MediaSSRC:  7,
			Nacks:      []rtcp.NackPair{{PacketID: 65535, LostPackets: 3}, {PacketID: 5}},
		},
		&rtcp.TransportLayerCC{
			Header:    rtcp.Header{Count: rtcp.FormatTCC, Type: rtcp.TypeTransportSpecificFeedback, Length: 4},
			MediaSSRC: 7,
		},
		&rtcp.PictureLossIndication{SenderSSRC: 1, MediaSSRC: 7},
		&rtcp.FullIntraRequest{SenderSSRC: 1, MediaSSRC: 7, FIR: []rtcp.FIREntry{{SSRC: 7}}},
		&rtcp.ReceiverEstimatedMaximumBitrate{SenderSSRC: 1, Bitrate: 1e6, SSRCs: []uint32{7}},
	)
	want := []Item{
		{Report: true, SSRC: 7, Lost: 25, LastSR: 9, Delay: 4}, {Report: true, SSRC: 8},
		{NACK: true, SSRC: 7, PID: 65535, BLP: 3}, {NACK: true, SSRC: 7, PID: 5},
		{Transport: []byte{0, 0, 0, 0, 0, 0, 0, 7, 0, 0, 0, 0, 0, 0, 0, 0}},
		{KeyFrame: true, SSRC: 7}, {KeyFrame: true, SSRC: 7}, {Bandwidth: 1e6},
	}
	var got []Item
	Walk(b, func(f Item) { got = append(got, f) })
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
}

// Whatever a player sends: no panic, and no more than its bytes can hold.
func FuzzWalk(f *testing.F) {
	f.Add(
		marshal(
			f,
			&rtcp.ReceiverReport{SSRC: 1, Reports: []rtcp.ReceptionReport{{SSRC: 7}}},
			&rtcp.TransportLayerNack{Nacks: []rtcp.NackPair{{PacketID: 1}}},
		),
	)
	f.Add(marshal(f, &rtcp.PictureLossIndication{}, &rtcp.FullIntraRequest{FIR: []rtcp.FIREntry{{SSRC: 7}}}))
	f.Add([]byte{0x9f, 201, 0, 0})
	f.Add([]byte{0x81, 205, 0, 0, 0x81, 206, 255, 255})
	f.Fuzz(func(t *testing.T, b []byte) {
		n := 0
		Walk(b, func(Item) { n++ })
		if n > len(b)/4 {
			t.Fatalf("%d things in %d bytes", n, len(b))
		}
	})
}
