package fanout

import (
	"testing"
	"time"
)

// Packets carry the number that transport-wide feedback names, which is their sequence number; those of RTX carry none.
// When a packet left is known until as many others have left.
func TestTransportWideNumbers(t *testing.T) {
	src := newSource(t)
	src.gop(3, 5000)
	e, sock := newEngine(t, RungSegments)
	began := ticks(time.Now())
	v, screen := watch(t, e, sock, newTestFeed(t, src), func(c *ViewerConfig) { c.Video.TransportCCID = 9 })
	numbered := func() (seq uint16) {
		t.Helper()
		for _, p := range screen.frame() {
			number := p.GetExtension(9)
			if seq = p.SequenceNumber; len(number) != 2 || uint16(number[0])<<8|uint16(number[1]) != seq {
				t.Fatalf("packet %d has number %v", seq, number)
			}
			if len(p.GetExtension(6)) != 8 {
				t.Fatal("the other extensions are gone")
			}
		}
		return seq
	}
	first := numbered()
	numbered()
	numbered()
	v.NACK(testVideoSSRC, first, 0)
	if p := screen.next(testRTXType); p.GetExtension(9) != nil {
		t.Errorf("a packet of RTX has number %v", p.GetExtension(9))
	}
	at, ok := v.SentAt(first)
	if !ok || at-began > uint32(time.Minute/SentTick) {
		t.Errorf("packet %d was sent %d ticks after the beginning, %v", first, at-began, ok)
	}
	if _, ok := v.SentAt(first + 10_000); ok {
		t.Error("a packet that was not sent has a time")
	}
	for seq := first; seq-first < sentPackets+10; {
		src.frame(false, 60_000)
		seq = numbered()
	}
	if _, ok := v.SentAt(first); ok {
		t.Error("a packet of long ago has a time")
	}
}
