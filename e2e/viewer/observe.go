package viewer

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/millrace/millrace/internal/play/join"
)

// longestStretch is the time over which latencies are summed up to one point, at most.
const longestStretch = 5 * time.Second

// settle is left out at the beginning: a viewer is sent what lies before the live edge at once.
const settle = 3 * time.Second

// Observe plays a beeping stream for a time and says how sound and picture lay, and how late they were. look is called
// for every frame, and may be nil.
func Observe(ctx context.Context, target *join.Target, d time.Duration, look func(Frame)) (Watched, error) {
	var out Watched
	senses := NewSenses(ctx)
	defer senses.Close()
	o := &observation{began: time.Now(), stretch: min(longestStretch, d/20)}
	v, err := Watch(ctx, target, func(f Frame) {
		senses.Take(f)
		o.frame(f)
		if look != nil {
			look(f)
		}
	})
	if err != nil {
		return out, err
	}
	defer v.Close()
	tick := time.NewTicker(250 * time.Millisecond)
	defer tick.Stop()
	for end := time.Now().Add(d); time.Now().Before(end); {
		select {
		case <-ctx.Done():
			return out, ctx.Err()
		case <-v.Ended():
			return out, fmt.Errorf("the connection ended after %s", time.Since(o.began))
		case <-tick.C:
		}
		if err := o.look(v, senses, &out); err != nil {
			return out, err
		}
	}
	out.Gaps = v.Gaps()
	return out, nil
}

// observation keeps what is not summed up yet.
type observation struct {
	began   time.Time
	stretch time.Duration

	mu     sync.Mutex
	frames []Frame

	paired int // flashes
	late   [2][]float64
	since  time.Time
}

func (o *observation) frame(f Frame) {
	if time.Since(o.began) < settle {
		return
	}
	f.Data = nil
	o.mu.Lock()
	defer o.mu.Unlock()
	o.frames = append(o.frames, f)
}

// look takes over what is new. The clock of each kind is that of the newest sender report, as it is for a browser. Both
// ends of a pair are put on it at one moment, for the reports of a young stream move on as the server learns how early
// frames can come.
func (o *observation) look(v *Viewer, senses *Senses, out *Watched) error {
	flashes, beeps, err := senses.Events()
	if err != nil {
		return err
	}
	o.latencies(v, out)
	_, a := v.Wall(true, 0)
	_, b := v.Wall(false, 0)
	if !a || !b { // a stream without sound has latency alone
		return nil
	}
	var near []float64
	for _, ts := range beeps[max(len(beeps)-16, 0):] {
		at, _ := v.Wall(false, ts)
		near = append(near, milliseconds(o.began, at))
	}
	// The last flash may still wait for its beep.
	for ; o.paired < len(flashes)-1; o.paired++ {
		wall, _ := v.Wall(true, flashes[o.paired])
		at := milliseconds(o.began, wall)
		if at < 1000 { // the viewer may have come in the middle of a flash
			continue
		}
		for _, skew := range Pairs([]float64{at}, near) {
			out.Skews = append(out.Skews, Point{at / 1000, skew})
		}
	}
	return nil
}

func (o *observation) latencies(v *Viewer, out *Watched) {
	o.mu.Lock()
	frames := o.frames
	o.frames = nil
	o.mu.Unlock()
	for _, f := range frames {
		kind := 1
		if f.Video {
			kind = 0
		}
		if at, ok := v.Wall(f.Video, f.Time); ok {
			o.late[kind] = append(o.late[kind], milliseconds(at, f.At))
		}
	}
	if o.since.IsZero() {
		o.since = time.Now()
	}
	if time.Since(o.since) < o.stretch {
		return
	}
	x := time.Since(o.began).Seconds()
	for kind, to := range []*[]Point{&out.Picture, &out.Sound} {
		if len(o.late[kind]) > 0 {
			*to = append(*to, Point{x, Median(o.late[kind])})
		}
		o.late[kind] = nil
	}
	o.since = time.Now()
}
