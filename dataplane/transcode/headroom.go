package transcode

import (
	"math"
	"runtime"
	"sync"
	"time"

	"github.com/millrace/millrace/dataplane/cputime"
)

// headroom knows how busy this process and its children are, so that new sessions are refused before those that run
// suffer. It measures once a second; a session that has begun since counts as much as those before it, on average.
type headroom struct {
	max float64 // share of all cores; 0: no limit

	mu       sync.Mutex
	at       time.Time
	used     map[int]time.Duration // CPU time by process id, so far
	own      time.Duration
	busy     float64 // share of all cores
	children float64 // cores
	sessions int     // that were measured
	promised int     // that began since
}

func newHeadroom(most float64) *headroom {
	return &headroom{max: most, at: time.Now(), used: map[int]time.Duration{}, own: cputime.Own()}
}

const newestWeight = 0.4 // of the newest second

func (h *headroom) measure(
	now time.Time,
	pids []int,
	cpu func(pid int) (time.Duration, bool),
	own time.Duration,
	cores int,
) {
	h.mu.Lock()
	defer h.mu.Unlock()
	seconds := now.Sub(h.at).Seconds()
	if seconds <= 0 {
		return
	}
	next := make(map[int]time.Duration, len(pids))
	var sum time.Duration
	for _, pid := range pids {
		if used, ok := cpu(pid); ok {
			next[pid] = used
			sum += max(used-h.used[pid], 0)
		}
	}
	h.children += newestWeight * (sum.Seconds()/seconds - h.children)
	h.busy += newestWeight * ((sum+own-h.own).Seconds()/seconds/float64(cores) - h.busy)
	h.at, h.used, h.own, h.sessions, h.promised = now, next, own, len(next), 0
}

// promise counts a session that begins.
func (h *headroom) promise() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.promised++
}

func (h *headroom) full() bool { return h.left() <= 0 }

// left is the part of the allowed CPU that is free: 1 for all of it.
func (h *headroom) left() float64 {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.max <= 0 {
		return 1
	}
	each := h.children / float64(max(h.sessions, 1)) / float64(runtime.GOMAXPROCS(0))
	return math.Max(1-(h.busy+each*float64(h.promised))/h.max, 0)
}

func (h *headroom) cores() float64 {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.children
}

// measure runs until the transcoder is closed.
func (t *Transcoder) measure() {
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for {
		select {
		case <-t.ctx.Done():
			return
		case now := <-tick.C:
			var pids []int
			for _, i := range t.List() {
				if i.PID != 0 {
					pids = append(pids, i.PID)
				}
			}
			t.headroom.measure(now, pids, cputime.Of, cputime.Own(), runtime.GOMAXPROCS(0))
		}
	}
}
