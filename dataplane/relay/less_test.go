package relay

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"github.com/pion/rtcp"

	"github.com/millrace/millrace/dataplane/media"
	"github.com/millrace/millrace/internal/testkit"
)

// spares writes frames of which nobody refers to every second one, until the test ends.
func (s *stack) spares() {
	done := make(chan struct{})
	stopped := make(chan struct{})
	go func() {
		defer close(stopped)
		for n := 0; ; n++ {
			select {
			case <-done:
				return
			case <-time.After(20 * time.Millisecond):
			}
			f := &media.Frame{
				Track:  s.video,
				DTS:    s.at,
				PTS:    s.at,
				Ingest: time.Now(),
				Units:  [][]byte{bytes.Repeat([]byte{0x41}, 1000)},
			}
			switch {
			case n%20 == 0:
				f.Key, f.Units = true, [][]byte{s.video.SPS, s.video.PPS, bytes.Repeat([]byte{0x65}, 1000)}
			case n%2 == 1:
				f.Disposable, f.Units = true, [][]byte{bytes.Repeat([]byte{0x01}, 1000)}
			}
			for _, u := range f.Units {
				f.Size += len(u)
			}
			if s.pub.Write(f) != nil {
				return
			}
			s.at += 20 * time.Millisecond
		}
	}()
	s.t.Cleanup(func() {
		close(done)
		<-stopped
	})
}

// metric sums up a metric over its labels; with a value of a label, only what has it.
func (s *stack) metric(name, value string) (sum float64) {
	s.t.Helper()
	families, err := s.registry.Gather()
	if err != nil {
		s.t.Fatal(err)
	}
	for _, f := range families {
		if f.GetName() != name {
			continue
		}
		for _, m := range f.GetMetric() {
			if value == "" || len(m.GetLabel()) == 1 && m.GetLabel()[0].GetValue() == value {
				sum += m.GetCounter().GetValue() + m.GetGauge().GetValue()
			}
		}
	}
	return sum
}

// observations counts what a histogram has seen.
func (s *stack) observations(name string) (n uint64) {
	s.t.Helper()
	families, err := s.registry.Gather()
	if err != nil {
		s.t.Fatal(err)
	}
	for _, f := range families {
		if f.GetName() == name {
			n += f.GetMetric()[0].GetHistogram().GetSampleCount()
		}
	}
	return n
}

// A player that says that it has too little bandwidth gets only frames that others refer to, until it has more.
func TestPlayerWithLittleBandwidthGetsLess(t *testing.T) {
	s := newStack(t, nil)
	s.publish()
	s.pub.SetFacts(media.Facts{VideoCodec: media.H264, VideoKbps: 2000})
	c := newClient(t, nil)
	s.whep(c, rtsHost)
	if answer := c.pc.RemoteDescription().SDP; !strings.Contains(answer, " goog-remb\r\n") ||
		strings.Contains(answer, "transport-cc") {
		t.Fatalf("estimates, and nothing else, should be asked for in\n%s", answer)
	}
	s.spares()
	say := func(kbps float32) {
		t.Helper()
		estimate := &rtcp.ReceiverEstimatedMaximumBitrate{Bitrate: kbps * 1000, SSRCs: []uint32{1}}
		if err := c.pc.WriteRTCP([]rtcp.Packet{estimate}); err != nil {
			t.Fatal(err)
		}
	}
	// until reads packets, and says an estimate from time to time, until something is so.
	until := func(what string, kbps float32, ok func(*packet) bool) {
		t.Helper()
		deadline, told := time.Now().Add(testkit.Patience()), time.Time{}
		for !ok(c.next()) {
			if time.Since(told) > 200*time.Millisecond {
				say(kbps)
				told = time.Now()
			}
			if time.Now().After(deadline) {
				t.Fatalf("%s did not come about", what)
			}
		}
	}
	until("a frame that nobody refers to", 3000, func(p *packet) bool { return p.spare })
	until("less", 1200, func(*packet) bool { return s.metric("millrace_relay_left_out_frames_total", "bandwidth") > 0 })
	c.drain() // what was sent before
	frames := 0
	until("a second of less", 1200, func(p *packet) bool {
		if p.spare {
			t.Fatal("a frame that nobody refers to was sent")
		}
		frames++
		return frames == 25
	})
	until("all frames again", 3000, func(p *packet) bool { return p.spare })
	if n := s.metric("millrace_relay_less_total", "bandwidth"); n != 1 {
		t.Errorf("%g decisions", n)
	}
}
