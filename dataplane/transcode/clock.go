package transcode

import (
	"sync"
	"time"
)

// clock remembers when frames of a kind came, to give what is made of them their times of ingest.
type clock struct {
	mu    sync.Mutex
	ring  [512]arrival // in order of coming; at 120 frames per second 4 s
	count int
}

type arrival struct {
	pts   time.Duration
	zero  time.Time // the time of ingest of stream time zero, as this frame tells it
	taken time.Time // when the transcoder got it
}

func (c *clock) add(a arrival) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.ring[c.count%len(c.ring)] = a
	c.count++
}

// at finds the frame that was to be shown at a time, or the last before it; else the one that is nearest.
func (c *clock) at(pts time.Duration) (arrival, bool) {
	const rounding = 50 * time.Microsecond
	c.mu.Lock()
	defer c.mu.Unlock()
	var best arrival
	found, before := false, false
	for i := 1; i <= min(c.count, len(c.ring)); i++ {
		a := c.ring[(c.count-i)%len(c.ring)]
		switch ok := a.pts <= pts+rounding; {
		case !found, ok && !before, ok == before && (a.pts-pts).Abs() < (best.pts-pts).Abs():
			best, found, before = a, true, before || ok
		}
		if best.pts <= pts+rounding && best.pts >= pts-rounding {
			break
		}
	}
	return best, found
}
