package fanout

import (
	"testing"
	"time"

	"github.com/pion/rtp"

	"github.com/millrace/millrace/dataplane/media"
)

// spare writes a frame that no other refers to.
func (s *source) spare(size int) {
	s.t.Helper()
	f := &media.Frame{
		Track:      s.video,
		Disposable: true,
		DTS:        s.at,
		PTS:        s.at,
		Ingest:     time.Now(),
		Units:      [][]byte{nal(0x01, size)},
		Size:       size,
	}
	if err := s.pub.Write(f); err != nil {
		s.t.Fatal(err)
	}
	s.at += 40 * time.Millisecond
}

func isSpare(packets []*rtp.Packet) bool { return packets[0].Payload[0]&0x60 == 0 }

// settled waits until the worker has done what was asked of it.
func settled(t *testing.T, e *Engine, f *Feed) {
	t.Helper()
	v, err := NewViewer(
		ViewerConfig{Profile: AEADAES128GCM, Key: make([]byte, 16), Salt: make([]byte, 12), OnEnd: func(error) {}},
	)
	if err != nil {
		t.Fatal(err)
	}
	e.Add(v, f)
	e.Remove(v)
}

// A thinned viewer misses only frames that nobody refers to, and its sequence numbers have no gap; later it gets all
// again.
func TestThinnedViewerMissesOnlyWhatNobodyRefersTo(t *testing.T) {
	src := newSource(t)
	src.gop(1, 3000)
	e, sock := newEngine(t, RungSegments)
	f := newTestFeed(t, src)
	v, screen := watch(t, e, sock, f, nil)
	if !isKey(screen.frame()) {
		t.Fatal("no key frame first")
	}
	rounds := func(n int, want ...bool) {
		t.Helper()
		for range n {
			src.frame(false, 3000)
			src.spare(2000)
			for _, spare := range want {
				if got := screen.frame(); isSpare(got) != spare {
					t.Fatalf("a frame that nobody refers to: %v, want %v", isSpare(got), spare)
				}
			}
		}
	}
	rounds(5, false, true)
	v.Thin(CauseDelay)
	settled(t, e, f)
	rounds(20, false)
	src.frame(false, 3000)
	asked := screen.frame()
	if got := e.Counts().LeftOut; got[CauseDelay] != 20 || got[CauseBandwidth] != 0 {
		t.Errorf("left out: %v", got)
	}
	// Repeats find the packets behind all that was left out.
	v.NACK(testVideoSSRC, asked[0].SequenceNumber-5*uint16(len(asked)), 0)
	if p := screen.next(testRTXType); p.Timestamp != asked[0].Timestamp-5*2*3600 {
		t.Errorf("repeated is a packet of %d, want %d", p.Timestamp, asked[0].Timestamp-5*2*3600)
	}
	v.Full()
	settled(t, e, f)
	rounds(5, false, true)
	if n := v.Counts.SkippedFrames.Load(); n != 20 {
		t.Errorf("%d frames were left out", n)
	}
}

// A viewer that must wait goes on at the next key frame.
func TestSkippingViewerGoesOnAtTheNextKeyFrame(t *testing.T) {
	src := newSource(t)
	src.gop(2, 1000)
	e, sock := newEngine(t, RungSegments)
	f := newTestFeed(t, src)
	v, screen := watch(t, e, sock, f, nil)
	screen.frame()
	screen.frame()
	v.Skip(CauseBandwidth)
	settled(t, e, f)
	for range 7 {
		src.frame(false, 1000)
	}
	src.gop(2, 1000)
	if !isKey(screen.frame()) || isKey(screen.frame()) {
		t.Error("it did not go on at the key frame")
	}
	if got := e.Counts().LeftOut; got[CauseBandwidth] != 7 {
		t.Errorf("left out: %v", got)
	}
}

// A sender report allocates nothing with the profile that is preferred.
func TestSenderReportDoesNotAllocate(t *testing.T) {
	src := newSource(t)
	src.gop(2, 1000)
	e, sock := newEngine(t, RungSegments)
	v, screen := watch(t, e, sock, newTestFeed(t, src), nil)
	screen.frame()
	screen.frame()
	e.Remove(v)
	w := newWorker()
	v.ended = false
	now := time.Now()
	w.report(v, now)
	if n := testing.AllocsPerRun(100, func() {
		w.report(v, now)
		w.flush()
	}); n > 0 {
		t.Errorf("%v allocations per report", n)
	}
}
