package viewer

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/millrace/millrace/dataplane/play/join"
)

// longestStretch is the time over which latencies are summed up to one point, at most.
const longestStretch = 5 * time.Second

// settle is left out at the beginning: a viewer is sent what lies before the live edge at once.
const settle = 3 * time.Second

// Observe plays a beeping stream for a time and says how sound and picture lay, and how late they were. look is called for every frame, and
// may be nil.
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

	flashes, beeps int // that were taken over
	flashAt        []float64
	beepAt         []float64
	paired         int
	late           [2][]float64
	since          time.Time
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

// look takes over what is new. The clock of each kind is that of the newest sender report, as it is for a browser.
func (o *observation) look(v *Viewer, senses *Senses, out *Watched) error {
	_, a := v.Wall(true, 0)
	_, b := v.Wall(false, 0)
	if !a && !b {
		return nil
	}
	flashes, beeps, err := senses.Events()
	if err != nil {
		return err
	}
	for ; o.flashes < len(flashes) && a; o.flashes++ {
		at, _ := v.Wall(true, flashes[o.flashes])
		o.flashAt = append(o.flashAt, milliseconds(o.began, at))
	}
	for ; o.beeps < len(beeps) && b; o.beeps++ {
		at, _ := v.Wall(false, beeps[o.beeps])
		o.beepAt = append(o.beepAt, milliseconds(o.began, at))
	}
	// The last flash may still wait for its beep.
	for ; o.paired < len(o.flashAt)-1; o.paired++ {
		at := o.flashAt[o.paired]
		for _, skew := range Pairs([]float64{at}, o.beepAt) {
			out.Skews = append(out.Skews, Point{at / 1000, skew})
		}
	}
	o.beepAt = o.beepAt[max(len(o.beepAt)-8, 0):]
	o.latencies(v, out)
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
