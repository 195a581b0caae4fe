package relay

import (
	"strings"
	"testing"
	"time"

	"github.com/pion/interceptor"
	"github.com/pion/rtcp"
	"github.com/pion/webrtc/v4"

	"github.com/millrace/millrace/dataplane/relay/fanout"
	"github.com/millrace/millrace/dataplane/relay/sdp"
	"github.com/millrace/millrace/internal/testkit"
)

// transportCC is a client that reports arrivals and estimates nothing. With a registry, pion reports them by itself.
func transportCC(t *testing.T, automatic bool) *client {
	t.Helper()
	m := &webrtc.MediaEngine{}
	feedback := []webrtc.RTCPFeedback{
		{Type: "nack"},
		{Type: "nack", Parameter: "pli"},
		{Type: webrtc.TypeRTCPFBTransportCC},
	}
	for _, c := range []struct {
		kind webrtc.RTPCodecType
		webrtc.RTPCodecParameters
	}{
		{webrtc.RTPCodecTypeVideo, webrtc.RTPCodecParameters{PayloadType: 102, RTPCodecCapability: webrtc.RTPCodecCapability{
			MimeType: webrtc.MimeTypeH264, ClockRate: 90_000,
			SDPFmtpLine: "level-asymmetry-allowed=1;packetization-mode=1;profile-level-id=42e01f", RTCPFeedback: feedback,
		}}},
		{webrtc.RTPCodecTypeAudio, webrtc.RTPCodecParameters{PayloadType: 111, RTPCodecCapability: webrtc.RTPCodecCapability{
			MimeType: webrtc.MimeTypeOpus, ClockRate: 48_000, Channels: 2,
		}}},
	} {
		if err := m.RegisterCodec(c.RTPCodecParameters, c.kind); err != nil {
			t.Fatal(err)
		}
	}
	if err := m.RegisterHeaderExtension(webrtc.RTPHeaderExtensionCapability{URI: sdp.ExtTransportCC},
		webrtc.RTPCodecTypeVideo); err != nil {
		t.Fatal(err)
	}
	registry := &interceptor.Registry{}
	if automatic {
		if err := webrtc.ConfigureTWCCSender(m, registry); err != nil {
			t.Fatal(err)
		}
	}
	var se webrtc.SettingEngine
	se.SetIncludeLoopbackCandidate(true)
	return newClientOf(
		t,
		webrtc.WithSettingEngine(se),
		webrtc.WithMediaEngine(m),
		webrtc.WithInterceptorRegistry(registry),
	)
}

// A stock player that offers transport-wide feedback, and no estimates, is asked for it, and what it reports is
// understood.
func TestTransportWideFeedbackOfAStockPlayer(t *testing.T) {
	s := newStack(t, nil)
	s.publish()
	c := transportCC(t, true)
	s.whep(c, rtsHost)
	answer := c.pc.RemoteDescription().SDP
	if !strings.Contains(answer, " transport-cc\r\n") || !strings.Contains(answer, sdp.ExtTransportCC) {
		t.Fatalf("no feedback is asked for in\n%s", answer)
	}
	s.spares()
	testkit.Eventually(t, "a time of waiting", func() bool {
		c.next()
		return s.observations("millrace_relay_queue_seconds") > 1
	})
}

// Packets that wait longer and longer on the way are a queue that fills: the player gets less, for that cause.
func TestPlayerBehindAQueueGetsLess(t *testing.T) {
	s := newStack(t, nil)
	s.publish()
	c := transportCC(t, false)
	s.whep(c, rtsHost)
	s.spares()
	const reference = 1000
	waiting, began := time.Duration(0), time.Now()
	deadline := began.Add(testkit.Patience())
	for s.metric("millrace_relay_left_out_frames_total", "delay") == 0 {
		if time.Now().After(deadline) {
			t.Fatalf("nothing was left out, though packets wait for %s", waiting)
		}
		var symbols []uint16
		var deltas []int64
		first := c.next()
		for p, last := first, uint16(0); len(symbols) < 10; p = c.next() {
			for n := uint16(len(symbols)); n > 0 && last+1 != p.seq; last++ {
				symbols = append(symbols, 0)
			}
			last = p.seq
			symbols, deltas = append(symbols, 2), append(deltas, 0)
		}
		if time.Since(began) > 6*time.Second {
			waiting = 500 * time.Millisecond
		}
		at := (time.Since(began) + waiting) / fanout.SentTick
		deltas[0] = int64(at & 0xff)
		report := queueReport(first.seq, reference+uint32(at>>8), symbols, deltas)
		if err := c.pc.WriteRTCP([]rtcp.Packet{report}); err != nil {
			t.Fatal(err)
		}
	}
	if n := s.metric("millrace_relay_less_total", "delay"); n != 1 {
		t.Errorf("%g decisions", n)
	}
}

// queueReport writes a transport-wide feedback: one chunk for each packet, deltas in ticks of 250 us.
func queueReport(base uint16, reference uint32, symbols []uint16, deltas []int64) *rtcp.TransportLayerCC {
	cc := &rtcp.TransportLayerCC{
		SenderSSRC: 1, MediaSSRC: 2, BaseSequenceNumber: base, PacketStatusCount: uint16(len(symbols)),
		ReferenceTime: reference,
	}
	for _, s := range symbols {
		cc.PacketChunks = append(
			cc.PacketChunks,
			&rtcp.RunLengthChunk{Type: rtcp.TypeTCCRunLengthChunk, PacketStatusSymbol: s, RunLength: 1},
		)
	}
	for _, d := range deltas {
		cc.RecvDeltas = append(cc.RecvDeltas, &rtcp.RecvDelta{Type: rtcp.TypeTCCPacketReceivedLargeDelta, Delta: d * 250})
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
