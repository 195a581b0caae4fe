package fanout

import (
	"net"
	"net/netip"
	"testing"
	"time"
)

// The rules of UDP_SEGMENT: one viewer, equal sizes but for a shorter last one, at most 64 segments and 65,507 bytes.
func TestRunsFollowTheRulesOfSegments(t *testing.T) {
	a, b := &Dest{}, &Dest{}
	type packet struct {
		to   *Dest
		size int
	}
	many := make([]packet, 70)
	for i := range many {
		many[i] = packet{a, 100}
	}
	large := make([]packet, 60)
	for i := range large {
		large[i] = packet{a, 1200}
	}
	for name, c := range map[string]struct {
		packets []packet
		want    []int // packets per message
	}{
		"equal":               {[]packet{{a, 100}, {a, 100}, {a, 100}}, []int{3}},
		"shorter last":        {[]packet{{a, 100}, {a, 100}, {a, 40}}, []int{3}},
		"nothing behind last": {[]packet{{a, 100}, {a, 40}, {a, 40}}, []int{2, 1}},
		"longer":              {[]packet{{a, 100}, {a, 101}}, []int{1, 1}},
		"two viewers":         {[]packet{{a, 100}, {b, 100}, {b, 100}, {a, 100}}, []int{1, 2, 1}},
		"64 segments":         {many, []int{64, 6}},
		"65,507 bytes":        {large, []int{54, 6}},
	} {
		batch := &Batch{arena: make([]byte, arenaSize), runs: make([]run, 0, maxRuns)}
		for _, p := range c.packets {
			batch.commit(p.to, p.size)
		}
		var got []int
		at := 0
		for _, r := range batch.runs {
			got = append(got, r.count)
			if r.start != at || r.end-r.start > maxMessage {
				t.Errorf("%s: message from %d to %d", name, r.start, r.end)
			}
			at = r.end
		}
		if len(got) != len(c.want) {
			t.Errorf("%s: messages of %v packets, want %v", name, got, c.want)
			continue
		}
		for i := range got {
			if got[i] != c.want[i] {
				t.Errorf("%s: messages of %v packets, want %v", name, got, c.want)
			}
		}
	}
}

// A message that the kernel refuses costs that message, not those behind it.
func TestRefusedMessageDoesNotStopTheBatch(t *testing.T) {
	for _, rung := range []Rung{RungSegments, RungMessages, RungPlain} {
		_, sock := newEngine(t, rung)
		sink, err := net.ListenUDP("udp", net.UDPAddrFromAddrPort(netip.MustParseAddrPort("127.0.0.1:0")))
		if err != nil {
			t.Fatal(err)
		}
		good := NewDest(sock, sink.LocalAddr().(*net.UDPAddr).AddrPort())
		bad := NewDest(sock, netip.MustParseAddrPort("127.0.0.1:0")) // no such port: EINVAL
		b := newBatch(sock)
		for _, d := range []*Dest{good, bad, good} {
			b.commit(d, copy(b.room(100), "packet"))
		}
		b.flush()
		buf := make([]byte, 100)
		for range 2 {
			_ = sink.SetReadDeadline(time.Now().Add(20 * time.Second))
			if n, err := sink.Read(buf); err != nil || string(buf[:n]) != "packet" {
				t.Fatalf("rung %v: read %q, %v", rung, buf[:n], err)
			}
		}
		if b.Sent.Packets != 2 || b.Sent.Failed != 1 || sock.Rung() != rung {
			t.Errorf("rung %v: %+v, now on rung %v", rung, b.Sent, sock.Rung())
		}
		_ = sink.Close()
	}
}

// One frame of 8 packets to 100 viewers, sealed and sent over loopback; nobody reads.
func BenchmarkFrameTo100Viewers(b *testing.B) {
	for _, rung := range []Rung{RungSegments, RungMessages, RungPlain} {
		b.Run(rung.String(), func(b *testing.B) {
			src := newSource(b)
			src.gop(2, 9000)
			conn, err := net.ListenUDP("udp", net.UDPAddrFromAddrPort(netip.MustParseAddrPort("127.0.0.1:0")))
			if err != nil {
				b.Fatal(err)
			}
			defer conn.Close()
			sink, err := net.ListenUDP("udp", net.UDPAddrFromAddrPort(netip.MustParseAddrPort("127.0.0.1:0")))
			if err != nil {
				b.Fatal(err)
			}
			defer sink.Close()
			sock, err := newSocket(conn, 0, rung)
			if err != nil {
				b.Fatal(err)
			}
			f := newTestFeed(b, src)
			w := newWorker()
			viewers := make([]*Viewer, 100)
			now := time.Now()
			key, salt := testKeys(AEADAES128GCM)
			for i := range viewers {
				viewers[i], err = NewViewer(ViewerConfig{
					Video: LaneConfig{
						Codec:       src.video.Codec,
						PayloadType: testVideoType,
						SSRC:        1,
					}, Profile: AEADAES128GCM, Key: key, Salt: salt, Socket: sock,
					Dest: NewDest(sock, sink.LocalAddr().(*net.UDPAddr).AddrPort()), OnEnd: func(error) {},
				})
				if err != nil {
					b.Fatal(err)
				}
				viewers[i].feed, viewers[i].joined = f, true
			}
			p := f.pack(1)
			b.ReportAllocs()
			for b.Loop() {
				for _, v := range viewers {
					v.cursor = 1
					w.deliver(v, now)
				}
				w.flush()
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*len(viewers)*p.Packets()), "ns/packet")
		})
	}
}

func BenchmarkNACK(b *testing.B) {
	src := newSource(b)
	src.gop(50, 9000)
	e, sock := newEngine(b, RungSegments)
	v, screen := watch(b, e, sock, newTestFeed(b, src), nil)
	first := screen.frame()[0].SequenceNumber
	for range 49 {
		screen.frame()
	}
	w := newWorker()
	v.worker = w
	now := time.Now()
	b.ReportAllocs()
	for b.Loop() {
		now = now.Add(time.Second)
		w.nack(v, testVideoSSRC, first+100, 0, now)
		w.flush()
	}
}
