package fanout

import (
	"encoding/binary"
	"errors"
	"io"
	"net"
	"net/netip"
	"testing"
	"time"

	"github.com/pion/rtp"
	"github.com/pion/srtp/v3"

	"github.com/millrace/millrace/dataplane/media"
)

// tcpPair returns both ends of a TCP connection with small kernel buffers.
func tcpPair(t *testing.T) (ours, theirs *net.TCPConn) {
	t.Helper()
	l, err := net.ListenTCP("tcp", net.TCPAddrFromAddrPort(netip.MustParseAddrPort("127.0.0.1:0")))
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	theirs, err = net.DialTCP("tcp", nil, l.Addr().(*net.TCPAddr))
	if err != nil {
		t.Fatal(err)
	}
	ours, err = l.AcceptTCP()
	if err != nil {
		t.Fatal(err)
	}
	_ = ours.SetWriteBuffer(64 << 10)
	_ = theirs.SetReadBuffer(64 << 10)
	t.Cleanup(func() {
		_ = ours.Close()
		_ = theirs.Close()
	})
	return ours, theirs
}

func (t *TCPPath) held() int {
	t.mu.Lock()
	defer t.mu.Unlock()
	return cap(t.buf)
}

// A viewer behind ICE-TCP that does not read costs a bounded buffer and nobody else anything. When it reads again it
// goes on at a key frame, and what it missed is counted.
func TestTCPViewerThatDoesNotRead(t *testing.T) {
	const frameSize, gopFrames = 20_000, 25
	src := newSource(t)
	src.gop(1, frameSize)
	e, sock := newEngine(t, RungSegments)
	f := newTestFeed(t, src)
	ours, theirs := tcpPair(t)
	path, err := NewTCPPath(ours)
	if err != nil {
		t.Fatal(err)
	}
	slow, _ := watch(t, e, sock, f, func(c *ViewerConfig) { c.Socket, c.Dest, c.TCP = nil, nil, path })
	quick, screen := watch(t, e, sock, f, nil)
	screen.frame()
	first := uint16(slow.lane(media.Video).start)
	for slow.Counts.SkippedFrames.Load() == 0 {
		for i := range gopFrames {
			src.frame(i == 0, frameSize)
			screen.frame() // without a gap
			// The viewer asks for everything again, all the time.
			for pid := range uint16(20) {
				slow.NACK(testVideoSSRC, first+pid*17, 0xffff)
			}
		}
		if held, bound := path.held(), 4*frameSize+maxQueued; held > bound {
			t.Fatalf("%d bytes wait, at most %d may", held, bound)
		}
	}
	if slow.Counts.Repeats.Load() != 0 || quick.Counts.SkippedFrames.Load() != 0 {
		t.Errorf(
			"%d repeats, %d frames of the other viewer skipped",
			slow.Counts.Repeats.Load(),
			quick.Counts.SkippedFrames.Load(),
		)
	}

	key, salt := testKeys(AEADAES128GCM)
	open, err := srtp.CreateContext(key, salt, srtp.ProtectionProfile(AEADAES128GCM))
	if err != nil {
		t.Fatal(err)
	}
	var size [2]byte
	var last *rtp.Packet
	next := func() *rtp.Packet {
		for {
			_ = theirs.SetReadDeadline(time.Now().Add(30 * time.Second))
			if _, err := io.ReadFull(theirs, size[:]); err != nil {
				t.Fatal(err)
			}
			b := make([]byte, binary.BigEndian.Uint16(size[:]))
			if _, err := io.ReadFull(theirs, b); err != nil {
				t.Fatal(err)
			}
			if b[1] >= 192 && b[1] < 224 {
				continue
			}
			plain, err := open.DecryptRTP(nil, b, nil)
			if err != nil {
				t.Fatal(err)
			}
			p := &rtp.Packet{}
			if err := p.Unmarshal(plain); err != nil {
				t.Fatal(err)
			}
			return p
		}
	}
	stop, stopped := make(chan struct{}), make(chan struct{})
	go func() { // the source goes on
		defer close(stopped)
		tick := time.NewTicker(5 * time.Millisecond)
		defer tick.Stop()
		for {
			select {
			case <-stop:
				return
			case <-tick.C:
				src.gop(gopFrames, frameSize)
			}
		}
	}()
	defer func() {
		close(stop)
		<-stopped
	}()
	for resumed := false; !resumed; {
		p := next()
		if last != nil {
			if p.SequenceNumber != last.SequenceNumber+1 {
				t.Fatalf("sequence number %d after %d", p.SequenceNumber, last.SequenceNumber)
			}
			if gap := p.Timestamp - last.Timestamp; gap > 3600 {
				if p.Payload[0]&0x1f != 24 {
					t.Fatal("it goes on at a frame that is no key frame")
				}
				resumed = true
			}
		}
		last = p
	}
}

// What is not media does not grow beyond its bound either, and a connection that takes nothing for long is found out.
func TestTCPPathThatIsStuck(t *testing.T) {
	ours, _ := tcpPair(t)
	path, err := NewTCPPath(ours)
	if err != nil {
		t.Fatal(err)
	}
	packet := make([]byte, 1200)
	for range 10_000 {
		path.Send(packet)
	}
	if held := path.held(); held > 3*maxQueued {
		t.Errorf("%d bytes wait", held)
	}
	if !path.full() || path.flush() {
		t.Error("the connection takes more than it can")
	}
	if now := time.Now(); path.stalled(now) || !path.stalled(now.Add(2*maxStall)) {
		t.Error("a connection is stalled after maxStall, not before")
	}
}

func TestTCPViewerThatIsStuckIsEnded(t *testing.T) {
	src := newSource(t)
	src.gop(1, 100)
	ended := make(chan error, 1)
	ours, _ := tcpPair(t)
	path, err := NewTCPPath(ours)
	if err != nil {
		t.Fatal(err)
	}
	for range 10_000 {
		path.Send(make([]byte, 1200))
	}
	path.mu.Lock()
	path.since = time.Now().Add(-2 * maxStall)
	path.mu.Unlock()
	e, sock := newEngine(t, RungSegments)
	watch(t, e, sock, newTestFeed(t, src), func(c *ViewerConfig) {
		c.Socket, c.Dest, c.TCP, c.OnEnd = nil, nil, path, func(err error) { ended <- err }
	})
	select {
	case err := <-ended:
		if !errors.Is(err, ErrStalled) {
			t.Errorf("ended with %v", err)
		}
	case <-time.After(30 * time.Second):
		t.Error("the viewer stays")
	}
}
