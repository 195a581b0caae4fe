package play

import (
	"context"
	"time"

	"github.com/millrace/millrace/dataplane/cputime"
	"github.com/millrace/millrace/internal/play/meter"
)

// lookEvery is how often the viewers are looked at; every fifth time progress is told.
const lookEvery = 200 * time.Millisecond

// supervise ends the play when its duration is over, measures what the process spends while all viewers watch, and
// tells progress, until all viewers are done.
func (r *run) supervise(all <-chan struct{}, end context.CancelCauseFunc) {
	began := time.Now()
	ticker := time.NewTicker(lookEvery)
	defer ticker.Stop()
	var deadline time.Time
	for looks := 1; ; looks++ {
		select {
		case <-all:
			r.load.finish(r)
			return
		case now := <-ticker.C:
			joined := r.joins()
			if deadline.IsZero() && r.options.Duration > 0 && (joined > 0 || r.options.Wait == 0) {
				deadline = now.Add(r.options.Ramp + r.options.Duration - lookEvery)
			}
			if joined == len(r.viewers) {
				r.load.begin(r)
			}
			if !deadline.IsZero() && !now.Before(deadline) {
				r.load.finish(r)
				end(errDuration)
			}
			if r.options.Progress != nil && looks%5 == 0 {
				r.options.Progress(r.progress(now.Sub(began)))
			}
		}
	}
}

// joins counts the viewers whose connection is up or who have ended.
func (r *run) joins() int {
	n := 0
	for _, v := range r.viewers {
		if v.Up() {
			n++
		}
	}
	return n
}

func (r *run) progress(elapsed time.Duration) Progress {
	out := Progress{Elapsed: elapsed, Viewers: len(r.viewers)}
	var latency meter.Histogram
	now := time.Now()
	for _, v := range r.viewers {
		stats := v.Snapshot(now)
		if stats.Ended != "" {
			out.Ended++
		} else if stats.Playing() {
			out.Playing++
			out.FPS += stats.FPS
		}
		out.Mbps += (stats.VideoKbps + stats.AudioKbps) / 1000
		out.Lost += stats.Lost
		out.Stalls += stats.Stalls
		stats.MergeLatency(&latency)
	}
	if out.Playing > 0 {
		out.FPS /= float64(out.Playing)
	}
	if latency.Count() > 0 {
		out.LatencyP50 = meter.DurationQuantiles(&latency).P50
	}
	return out
}

// load measures what this process spends per packet while all viewers are watching.
type load struct {
	begun, done    bool
	cpu            time.Duration
	packets, reads uint64
}

func (l *load) begin(r *run) {
	if !l.begun {
		l.begun = true
		l.cpu, l.packets, l.reads = cputime.Own(), r.packets(), r.reads()
	}
}

func (l *load) finish(r *run) {
	if l.begun && !l.done {
		l.done = true
		l.cpu, l.packets, l.reads = cputime.Own()-l.cpu, r.packets()-l.packets, r.reads()-l.reads
	}
}

func (r *run) packets() (n uint64) {
	for _, v := range r.viewers {
		n += v.Packets()
	}
	return n
}

func (r *run) reads() uint64 {
	if r.engine == nil {
		return 0
	}
	return r.engine.Reads()
}
