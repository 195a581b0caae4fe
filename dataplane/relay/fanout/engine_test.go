package fanout

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"net"
	"net/netip"
	"syscall"
	"testing"
	"time"

	"github.com/pion/rtp"
	"github.com/pion/srtp/v3"

	"github.com/millrace/millrace/dataplane/hub"
	"github.com/millrace/millrace/dataplane/media"
)

// source is a stream that a test writes frame by frame: 25 fps, Opus beside the video when asked for.
type source struct {
	t      testing.TB
	hub    *hub.Hub
	pub    *hub.Publication
	stream *hub.Stream
	video  *media.Track
	audio  *media.Track
	at     time.Duration
}

var testKey = hub.Key{Space: "rts.example.com", App: "live", Name: "test"}

func newSource(t testing.TB) *source {
	t.Helper()
	s := &source{
		t:     t,
		hub:   hub.New(hub.Options{}),
		video: &media.Track{Codec: media.H264},
		audio: &media.Track{Codec: media.Opus, SampleRate: 48000, Channels: 2},
	}
	pub, err := s.hub.Publish(testKey, hub.Publisher{})
	if err != nil {
		t.Fatal(err)
	}
	s.pub, s.stream = pub, pub.Stream()
	pub.SetTracks([]*media.Track{s.video, s.audio})
	t.Cleanup(s.hub.Close)
	return s
}

// frame writes a video frame of about size bytes.
func (s *source) frame(key bool, size int) {
	s.t.Helper()
	units := [][]byte{nal(0x41, size)}
	if key {
		units = [][]byte{nal(0x67, 24), nal(0x68, 4), nal(0x65, size)}
	}
	s.write(s.video, key, units)
	s.at += 40 * time.Millisecond
}

func (s *source) sound(size int) {
	s.t.Helper()
	s.write(s.audio, false, [][]byte{nal(0x78, size)})
}

func (s *source) write(t *media.Track, key bool, units [][]byte) {
	s.t.Helper()
	f := &media.Frame{Track: t, Key: key, DTS: s.at, PTS: s.at, Ingest: time.Now(), Units: units}
	for _, u := range units {
		f.Size += len(u)
	}
	if err := s.pub.Write(f); err != nil {
		s.t.Fatal(err)
	}
}

func (s *source) gop(frames, size int) {
	s.t.Helper()
	for i := range frames {
		s.frame(i == 0, size)
	}
}

// screen is a viewer's receiving end: a UDP socket that decrypts.
type screen struct {
	t    testing.TB
	conn *net.UDPConn
	srtp *srtp.Context
	last map[uint8]uint16
}

const (
	testVideoType = 102
	testRTXType   = 103
	testAudioType = 111
	testVideoSSRC = 1111
	testRTXSSRC   = 2222
	testAudioSSRC = 3333
)

func newEngine(t testing.TB, highest Rung) (*Engine, *Socket) {
	t.Helper()
	e := NewEngine(EngineOptions{Workers: 1, Highest: highest})
	conn, err := net.ListenUDP("udp", net.UDPAddrFromAddrPort(netip.MustParseAddrPort("127.0.0.1:0")))
	if err != nil {
		t.Fatal(err)
	}
	s, err := e.AddSocket(conn)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		e.Close()
		_ = conn.Close()
	})
	return e, s
}

// watch adds a viewer to a feed.
func watch(t testing.TB, e *Engine, s *Socket, f *Feed, change func(*ViewerConfig)) (*Viewer, *screen) {
	t.Helper()
	conn, err := net.ListenUDP("udp", net.UDPAddrFromAddrPort(netip.MustParseAddrPort("127.0.0.1:0")))
	if err != nil {
		t.Fatal(err)
	}
	_ = conn.SetReadBuffer(8 << 20)
	t.Cleanup(func() { _ = conn.Close() })
	key, salt := testKeys(AEADAES128GCM)
	cfg := ViewerConfig{
		Video: LaneConfig{
			Codec:           media.H264,
			PayloadType:     testVideoType,
			SSRC:            testVideoSSRC,
			RTXType:         testRTXType,
			RTXSSRC:         testRTXSSRC,
			PlayoutDelayID:  5,
			MaxPlayoutDelay: 500,
			CaptureTimeID:   6,
		},
		Audio:   LaneConfig{Codec: media.Opus, PayloadType: testAudioType, SSRC: testAudioSSRC},
		Profile: AEADAES128GCM, Key: key, Salt: salt, CNAME: "test", Socket: s,
		Dest: NewDest(s, conn.LocalAddr().(*net.UDPAddr).AddrPort()), OnEnd: func(error) {},
	}
	if change != nil {
		change(&cfg)
	}
	v, err := NewViewer(cfg)
	if err != nil {
		t.Fatal(err)
	}
	open, err := srtp.CreateContext(key, salt, srtp.ProtectionProfile(cfg.Profile))
	if err != nil {
		t.Fatal(err)
	}
	e.Add(v, f)
	return v, &screen{t: t, conn: conn, srtp: open, last: map[uint8]uint16{}}
}

// next returns the next RTP packet of the given payload types; reports are passed over.
func (s *screen) next(types ...uint8) *rtp.Packet {
	s.t.Helper()
	buf := make([]byte, 2048)
	_ = s.conn.SetReadDeadline(time.Now().Add(20 * time.Second))
	for {
		n, err := s.conn.Read(buf)
		if err != nil {
			s.t.Fatalf("waiting for a packet: %v", err)
		}
		if buf[1] >= 192 && buf[1] < 224 {
			continue
		}
		plain, err := s.srtp.DecryptRTP(nil, buf[:n], nil)
		if err != nil {
			s.t.Fatalf("decrypting: %v", err)
		}
		var p rtp.Packet
		if err := p.Unmarshal(plain); err != nil {
			s.t.Fatal(err)
		}
		for _, want := range types {
			if p.PayloadType == want {
				return &p
			}
		}
	}
}

// frame reads the packets of one video frame, which must follow each other without a gap.
func (s *screen) frame() (packets []*rtp.Packet) {
	s.t.Helper()
	for {
		p := s.next(testVideoType)
		if last, ok := s.last[testVideoType]; ok && p.SequenceNumber != last+1 {
			s.t.Fatalf("sequence number %d after %d", p.SequenceNumber, last)
		}
		s.last[testVideoType] = p.SequenceNumber
		packets = append(packets, p)
		if p.Marker {
			return packets
		}
	}
}

func isKey(packets []*rtp.Packet) bool { return packets[0].Payload[0]&0x1f == 24 } // the STAP-A of the parameter sets

func newTestFeed(t testing.TB, s *source) *Feed {
	t.Helper()
	f := NewFeed(s.stream)
	t.Cleanup(f.Close)
	return f
}

// The cached GOP comes at once with squeezed timestamps; live frames keep their own; audio starts at the edge.
func TestJoinStartsAtKeyFrameAndLiveEdge(t *testing.T) {
	src := newSource(t)
	src.gop(10, 3000)
	src.sound(50)
	src.gop(25, 3000)
	src.sound(60)
	e, sock := newEngine(t, RungSegments)
	f := newTestFeed(t, src)
	_, screen := watch(t, e, sock, f, nil)
	first := screen.frame()
	if !isKey(first) {
		t.Fatal("the first frame is not a key frame")
	}
	edge := clock((34 * 40 * time.Millisecond).Nanoseconds(), 90_000)
	for i := range 25 {
		packets := first
		if i > 0 {
			packets = screen.frame()
		}
		if want := edge - uint32(24-i)*compressStep; packets[0].Timestamp != want {
			t.Fatalf("frame %d has timestamp %d, want %d", i, packets[0].Timestamp, want)
		}
	}
	src.sound(70)
	if p := screen.next(testAudioType); len(p.Payload) != 70 {
		t.Fatalf("the first audio frame has %d bytes: it is from before the join", len(p.Payload))
	}
	src.frame(false, 1000)
	if p := screen.frame(); p[0].Timestamp != edge+3600 {
		t.Fatalf("the live frame has timestamp %d, want %d", p[0].Timestamp, edge+3600)
	}
}

func TestHeaderExtensions(t *testing.T) {
	src := newSource(t)
	src.frame(true, 3000)
	e, sock := newEngine(t, RungSegments)
	_, screen := watch(t, e, sock, newTestFeed(t, src), nil)
	before := ntpTime(time.Now().Add(-time.Minute))
	for _, p := range screen.frame() {
		if delay := p.GetExtension(5); !bytes.Equal(delay, []byte{0, 0x01, 0xf4}) {
			t.Errorf("playout-delay is %v", delay)
		}
		if at := p.GetExtension(6); len(at) != 8 || binary.BigEndian.Uint64(at) < before ||
			binary.BigEndian.Uint64(at) > ntpTime(time.Now()) {
			t.Errorf("abs-capture-time is %v", at)
		}
	}
}

// All rungs put the same bytes on the wire.
func TestRungsSendTheSame(t *testing.T) {
	var want string
	for _, highest := range []Rung{RungSegments, RungMessages, RungPlain} {
		src := newSource(t)
		src.gop(5, 20_000)
		e, sock := newEngine(t, highest)
		if sock.Rung() < highest {
			t.Fatalf("socket is on rung %v", sock.Rung())
		}
		_, screen := watch(t, e, sock, newTestFeed(t, src), func(c *ViewerConfig) { c.Video.CaptureTimeID = 0 })
		got := ""
		for range 5 {
			for _, p := range screen.frame() {
				got += fmt.Sprintf("%d %d %x\n", p.Timestamp, len(p.Payload), p.Payload[:8])
			}
		}
		if want == "" {
			want = got
		}
		if got != want {
			t.Errorf("rung %v sends other packets", highest)
		}
	}
}

func TestNACKIsAnsweredByRTX(t *testing.T) {
	src := newSource(t)
	src.gop(3, 5000)
	e, sock := newEngine(t, RungSegments)
	v, screen := watch(t, e, sock, newTestFeed(t, src), nil)
	var all []*rtp.Packet
	for range 3 {
		all = append(all, screen.frame()...)
	}
	lost := all[2]
	v.NACK(testVideoSSRC, lost.SequenceNumber, 1<<1) // and the second packet behind it
	for _, want := range []*rtp.Packet{lost, all[4]} {
		p := screen.next(testRTXType)
		if p.SSRC != testRTXSSRC || binary.BigEndian.Uint16(p.Payload) != want.SequenceNumber ||
			string(p.Payload[2:]) != string(want.Payload) ||
			p.Timestamp != want.Timestamp ||
			p.Marker != want.Marker {
			t.Fatalf("RTX of %d: %v", want.SequenceNumber, p)
		}
	}
}

// Without RTX a repeat is the very same packet, so that no nonce is used for two contents.
func TestNACKWithoutRTXRepeatsTheSamePacket(t *testing.T) {
	src := newSource(t)
	src.gop(3, 5000)
	e, sock := newEngine(t, RungSegments)
	v, screen := watch(t, e, sock, newTestFeed(t, src), func(c *ViewerConfig) { c.Video.RTXType = 0 })
	buf := make([]byte, 2048)
	read := func() string {
		_ = screen.conn.SetReadDeadline(time.Now().Add(20 * time.Second))
		for {
			n, err := screen.conn.Read(buf)
			if err != nil {
				t.Fatal(err)
			}
			if buf[1]&0x7f == testVideoType {
				return string(buf[:n])
			}
		}
	}
	first := read()
	seq := binary.BigEndian.Uint16([]byte(first)[2:])
	v.NACK(testVideoSSRC, seq, 0)
	for {
		if again := read(); binary.BigEndian.Uint16([]byte(again)[2:]) == seq {
			if again != first {
				t.Fatal("the repeat differs from the packet")
			}
			return
		}
	}
}

func TestNACKOfUnknownPacketsIsIgnored(t *testing.T) {
	src := newSource(t)
	src.gop(2, 3000)
	e, sock := newEngine(t, RungSegments)
	v, screen := watch(t, e, sock, newTestFeed(t, src), nil)
	first := screen.frame()[0].SequenceNumber
	v.NACK(testVideoSSRC, first-1, 0xffff&^1) // before the start; its bits name packets that were sent
	v.NACK(testVideoSSRC+7, first, 0)         // no such SSRC
	v.NACK(testVideoSSRC, first+20_000, 0xff) // not sent yet
	src.frame(false, 900)
	for range 2 {
		screen.frame() // goes on without a gap
	}
	if v.Counts.Repeats.Load() > 16 {
		t.Errorf("%d repeats", v.Counts.Repeats.Load())
	}
}

// A viewer whose decoder lost its reference gets the cached GOP again at once, later in time than what it saw.
func TestKeyFrameRequestIsServedFromTheCache(t *testing.T) {
	const frames = 10
	src := newSource(t)
	src.gop(frames, 2000)
	e, sock := newEngine(t, RungSegments)
	v, screen := watch(t, e, sock, newTestFeed(t, src), nil)
	var last uint32
	for range frames {
		last = screen.frame()[0].Timestamp
	}
	for !screen.waiting(50 * time.Millisecond) { // until the pause between two joins has passed
		v.KeyFrame()
	}
	for i := range frames {
		packets := screen.frame()
		if i == 0 && !isKey(packets) {
			t.Fatal("the first frame is not a key frame")
		}
		if d := int32(packets[0].Timestamp - last); d <= 0 || d > rejoinSpan {
			t.Fatalf("timestamp of frame %d moves by %d", i, d)
		}
		last = packets[0].Timestamp
	}
	src.frame(false, 500)
	if d := int32(screen.frame()[0].Timestamp - last); d <= 0 || d > 3600 {
		t.Fatalf("timestamp of the live frame moves by %d", d)
	}
}

// waiting reports whether a media packet comes within d; it stays to be read.
func (s *screen) waiting(d time.Duration) bool {
	raw, err := s.conn.SyscallConn()
	if err != nil {
		s.t.Fatal(err)
	}
	until := time.Now().Add(d)
	for {
		_ = s.conn.SetReadDeadline(until)
		media := false
		err := raw.Read(func(fd uintptr) bool {
			var b [2]byte
			n, _, err := syscall.Recvfrom(int(fd), b[:], syscall.MSG_PEEK|syscall.MSG_DONTWAIT)
			media = err == nil && (n < 2 || b[1] < 192 || b[1] >= 224)
			return err == nil
		})
		if media || err != nil {
			return media
		}
		var b [2048]byte
		_, _ = s.conn.Read(b[:]) // a report
	}
}

func TestStreamEndAndCodecChange(t *testing.T) {
	for name, end := range map[string]func(*source){
		"end":          func(s *source) { s.pub.End() },
		"codec change": func(s *source) { s.video = &media.Track{Codec: media.H265}; s.frame(true, 500) },
	} {
		src := newSource(t)
		src.gop(3, 1000)
		e, sock := newEngine(t, RungSegments)
		ended := make(chan error, 1)
		_, screen := watch(
			t,
			e,
			sock,
			newTestFeed(t, src),
			func(c *ViewerConfig) { c.OnEnd = func(err error) { ended <- err } },
		)
		for range 3 {
			screen.frame()
		}
		end(src)
		select {
		case err := <-ended:
			if (err != nil) != (name == "codec change") {
				t.Errorf("%s: %v", name, err)
			}
		case <-time.After(20 * time.Second):
			t.Errorf("%s: the viewer was not told", name)
		}
	}
}

// A new publisher goes on where the old one stopped: no gap in sequence numbers, timestamps rise.
func TestViewersGoOnWithANewPublisher(t *testing.T) {
	src := newSource(t)
	src.gop(5, 1000)
	e, sock := newEngine(t, RungSegments)
	_, screen := watch(t, e, sock, newTestFeed(t, src), nil)
	var last uint32
	for range 5 {
		last = screen.frame()[0].Timestamp
	}
	src.pub.Abandon()
	pub, err := src.hub.Publish(testKey, hub.Publisher{})
	if err != nil {
		t.Fatal(err)
	}
	src.pub, src.at = pub, 77*time.Hour // an encoder with a clock of its own
	src.gop(3, 1000)
	for range 3 {
		ts := screen.frame()[0].Timestamp
		if d := int32(ts - last); d <= 0 || d > 90_000*60 {
			t.Fatalf("timestamp moves by %d", d)
		}
		last = ts
	}
}

func TestSequenceNumbersMapBack(t *testing.T) {
	l := &lane{next: 70_000, start: 70_000, joinAt: 70_000}
	place := func(first uint64, packets int) uint64 {
		return l.place(&Pack{First: first, ends: make([]uint32, packets)})
	}
	place(100, 10)
	place(150, 5) // 40 packets were not for this viewer
	for ext, want := range map[uint64]uint64{70_000: 100, 70_009: 109, 70_010: 150, 70_014: 154} {
		if got, number, ok := l.number(uint16(ext)); !ok || got != ext || number != want {
			t.Errorf("packet %d is %d of the feed (%v), want %d", ext, number, ok, want)
		}
	}
	if _, _, ok := l.number(70_015 & 0xffff); ok {
		t.Error("a packet that was not sent is known")
	}
	if _, _, ok := l.number(69_999 & 0xffff); ok {
		t.Error("a packet from before the join is known")
	}
}

// brokenSealer panics at its third packet.
type brokenSealer struct {
	sealer
	left int
}

func (s *brokenSealer) seal(buf []byte, n int, payload []byte, ssrc, roc uint32, seq uint16) int {
	if s.left--; s.left < 0 {
		panic("broken")
	}
	return s.sealer.seal(buf, n, payload, ssrc, roc, seq)
}

// A panic ends the viewer that it came up with; the others of the same worker go on.
func TestPanicEndsOneViewer(t *testing.T) {
	src := newSource(t)
	src.gop(3, 3000)
	e, sock := newEngine(t, RungSegments)
	f := newTestFeed(t, src)
	ended := make(chan error, 1)
	key, salt := testKeys(AEADAES128GCM)
	bad, err := NewViewer(ViewerConfig{
		Video: LaneConfig{
			Codec:       media.H264,
			PayloadType: testVideoType,
			SSRC:        1,
		}, Profile: AEADAES128GCM, Key: key, Salt: salt, Socket: sock,
		Dest: NewDest(sock, netip.MustParseAddrPort("127.0.0.1:9")), OnEnd: func(err error) { ended <- err },
	})
	if err != nil {
		t.Fatal(err)
	}
	bad.sealer = &brokenSealer{bad.sealer, 2}
	e.Add(bad, f)
	_, screen := watch(t, e, sock, f, nil)
	for range 3 {
		screen.frame()
	}
	select {
	case err := <-ended:
		isPanic(t, err, "broken", "brokenSealer")
	case <-time.After(20 * time.Second):
		t.Fatal("the viewer was not ended")
	}
	src.gop(3, 3000)
	for range 3 {
		screen.frame()
	}
}
