package fanout

import (
	"testing"
	"time"
)

func TestRepeatsAreBoundedByTimeAndByWhatIsSent(t *testing.T) {
	b, now := newRepairBucket(), time.Now()
	if !b.take(512<<10, now, 1000) || b.take(1, now, 1000) {
		t.Fatal("at once a viewer gets 512 KiB of repeats, no more")
	}
	if b.take(1001, now, 3000) || !b.take(1000, now, 3000) || b.take(1, now, 3000) {
		t.Error("2000 bytes sent do not earn 1000 bytes of repeats")
	}
	now = now.Add(time.Second)
	if !b.take(256<<10, now, 3000) || b.take(1, now, 3000) {
		t.Error("a second does not earn 256 KiB of repeats")
	}
	now = now.Add(time.Hour)
	if b.take(512<<10+1, now, 1<<40) {
		t.Error("what is not used adds up without bound")
	}
}
