package feedback

import (
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/pion/rtcp"
)

// told is what a feedback says of a packet.
type told struct {
	seq     uint16
	arrived bool
	at      uint32
}

// transportCC writes a feedback by pion's means: one symbol per chunk entry, deltas in ticks.
func transportCC(base uint16, reference uint32, symbols []uint16, deltas []int64) *rtcp.TransportLayerCC {
	cc := &rtcp.TransportLayerCC{
		SenderSSRC: 1, MediaSSRC: 2, BaseSequenceNumber: base, PacketStatusCount: uint16(len(symbols)),
		ReferenceTime: reference,
	}
	for rest := symbols; len(rest) > 0; {
		run := 1
		for run < len(rest) && rest[run] == rest[0] {
			run++
		}
		switch {
		case run > 14:
			cc.PacketChunks = append(
				cc.PacketChunks,
				&rtcp.RunLengthChunk{Type: rtcp.TypeTCCRunLengthChunk, PacketStatusSymbol: rest[0], RunLength: uint16(run)},
			)
			rest = rest[run:]
		case !slices.Contains(rest[:min(14, len(rest))], rtcp.TypeTCCPacketReceivedLargeDelta):
			list := slices.Clone(rest[:min(14, len(rest))])
			rest = rest[len(list):]
			for len(list) < 14 {
				list = append(list, 0)
			}
			cc.PacketChunks = append(
				cc.PacketChunks,
				&rtcp.StatusVectorChunk{
					Type:       rtcp.TypeTCCStatusVectorChunk,
					SymbolSize: rtcp.TypeTCCSymbolSizeOneBit,
					SymbolList: list,
				},
			)
		default:
			list := slices.Clone(rest[:min(7, len(rest))])
			rest = rest[len(list):]
			for len(list) < 7 {
				list = append(list, 0)
			}
			cc.PacketChunks = append(
				cc.PacketChunks,
				&rtcp.StatusVectorChunk{
					Type:       rtcp.TypeTCCStatusVectorChunk,
					SymbolSize: rtcp.TypeTCCSymbolSizeTwoBit,
					SymbolList: list,
				},
			)
		}
	}
	for i, s := range slices.DeleteFunc(slices.Clone(symbols), func(s uint16) bool { return s == 0 }) {
		cc.RecvDeltas = append(cc.RecvDeltas, &rtcp.RecvDelta{Type: s, Delta: deltas[i] * 250})
	}
	size := cc.MarshalSize()
	cc.Header = rtcp.Header{
		Count:   rtcp.FormatTCC,
		Type:    rtcp.TypeTransportSpecificFeedback,
		Length:  uint16(size/4 - 1),
		Padding: size%4 != 0,
	}
	return cc
}

// What pion writes is read back, for every mixture of runs and vectors.
func TestWalkTransportCC(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	for range 500 {
		base, reference := uint16(rng.Uint32()), rng.Uint32()&0xffffff
		var symbols []uint16
		var deltas []int64
		var want []told
		at := reference << 8
		for range 1 + rng.IntN(20) {
			s, n := uint16(rng.IntN(3)), 1+rng.IntN(30)
			for range n {
				seq := base + uint16(len(symbols))
				symbols = append(symbols, s)
				if s == 0 {
					want = append(want, told{seq, false, 0})
					continue
				}
				d := int64(rng.IntN(256))
				if s == 2 {
					d = int64(rng.IntN(1<<16)) - 1<<15
				}
				deltas = append(deltas, d)
				at += uint32(d)
				want = append(want, told{seq, true, at})
			}
		}
		b := marshal(t, transportCC(base, reference, symbols, deltas))
		var got []told
		Walk(b, func(f Item) {
			WalkTransportCC(f.Transport, func(seq uint16, arrived bool, at uint32) { got = append(got, told{seq, arrived, at}) })
		})
		if !slices.Equal(got, want) {
			t.Fatalf("%d packets, want %d\n%v\n%v", len(got), len(want), got, want)
		}
	}
}

// Whatever a player sends: no panic, and a bounded number of packets.
func FuzzWalkTransportCC(f *testing.F) {
	f.Add(marshal(f, transportCC(65530, 77, []uint16{1, 1, 0, 2, 1, 0, 0, 1, 2}, []int64{0, 1, -5, 3, 4, 300}))[4:])
	f.Add([]byte{0, 0, 0, 1, 0, 0, 0, 2, 0, 1, 255, 255, 0, 0, 1, 0, 0x1f, 0xff, 0, 0})
	f.Fuzz(func(t *testing.T, b []byte) {
		n := 0
		WalkTransportCC(b, func(uint16, bool, uint32) { n++ })
		if n > maxStatuses {
			t.Fatalf("%d packets", n)
		}
	})
}

func BenchmarkTransportCC(b *testing.B) {
	symbols, deltas := make([]uint16, 40), make([]int64, 40)
	for i := range symbols {
		symbols[i], deltas[i] = 1, 10
	}
	body := marshal(b, transportCC(1, 1, symbols, deltas))[4:]
	n := 0
	b.ReportAllocs()
	for b.Loop() {
		WalkTransportCC(body, func(uint16, bool, uint32) { n++ })
	}
}

// A period's waiting time is that of its quickest packet over the shortest way, whatever the two clocks say.
func TestArrivals(t *testing.T) {
	var a Arrivals
	now := time.Unix(1000, 0)
	if _, _, ok := a.End(now); ok {
		t.Error("a period without a beginning ended")
	}
	clocks := uint32(1<<32 - 100) // what the clocks differ by: wraps
	for period, wait := range []int{0, 0, 400, 400, 0} {
		for i := range 100 {
			a.Take(i%10 != 0, clocks+uint32(wait*4)+uint32(i%7*4), i%3 != 2)
		}
		now = now.Add(time.Second)
		queue, lost, ok := a.End(now)
		if !ok || lost != 0.1 {
			t.Fatalf("period %d: %v, %g lost", period, ok, lost)
		}
		if off := queue - time.Duration(wait)*time.Millisecond; off > 5*time.Millisecond || off < -5*time.Millisecond {
			t.Errorf("period %d: packets wait %s, want %d ms", period, queue, wait)
		}
	}
	a.Take(true, 0, false)
	if _, _, ok := a.End(now.Add(time.Minute)); ok {
		t.Error("a period without a known way gave one")
	}
}
