package relay

import (
	"testing"
	"time"

	"github.com/millrace/millrace/dataplane/relay/fanout"
)

// took is a step and how many seconds after the first report it came.
type took struct {
	at    int
	do    step
	cause fanout.Cause
}

func TestPressure(t *testing.T) {
	const seconds = 40
	between := func(i, from, to int) bool { return i >= from && i < to }
	for name, c := range map[string]struct {
		report func(p *pressure, now time.Time, i int) (step, fanout.Cause)
		want   []took
	}{
		"enough": {
			func(p *pressure, now time.Time, _ int) (step, fanout.Cause) { return p.estimate(now, 3, 2) }, nil,
		},
		"nothing is known of the stream": {
			func(p *pressure, now time.Time, _ int) (step, fanout.Cause) { return p.estimate(now, 1, 0) }, nil,
		},
		"a low estimate at the beginning": {
			func(p *pressure, now time.Time, i int) (step, fanout.Cause) {
				if i < 5 {
					return p.estimate(now, 0.3, 2)
				}
				return p.estimate(now, 3, 2)
			}, nil,
		},
		"one low estimate": {
			func(p *pressure, now time.Time, i int) (step, fanout.Cause) {
				if i == 10 {
					return p.estimate(now, 0.3, 2)
				}
				return p.estimate(now, 3, 2)
			}, nil,
		},
		"too little for a while": {
			func(p *pressure, now time.Time, i int) (step, fanout.Cause) {
				if between(i, 10, 20) {
					return p.estimate(now, 1.4, 2)
				}
				return p.estimate(now, 3, 2)
			}, []took{{11, stepThin, fanout.CauseBandwidth}, {22, stepFull, 0}},
		},
		"far too little": {
			func(p *pressure, now time.Time, i int) (step, fanout.Cause) {
				if between(i, 10, 20) {
					return p.estimate(now, 0.5, 2)
				}
				return p.estimate(now, 3, 2)
			}, []took{{11, stepThin, fanout.CauseBandwidth}, {12, stepSkip, fanout.CauseBandwidth},
				{16, stepSkip, fanout.CauseBandwidth}, {22, stepFull, 0}},
		},
		"between two thresholds nothing changes": {
			func(p *pressure, now time.Time, i int) (step, fanout.Cause) {
				if between(i, 10, 13) {
					return p.estimate(now, 1.4, 2)
				}
				return p.estimate(now, 1.7, 2)
			}, []took{{11, stepThin, fanout.CauseBandwidth}},
		},
		"loss makes nobody wait for a key frame": {
			func(p *pressure, now time.Time, i int) (step, fanout.Cause) {
				if between(i, 10, 30) {
					return p.loss(now, 0.5)
				}
				return p.loss(now, 0)
			}, []took{{11, stepThin, fanout.CauseLoss}, {32, stepFull, 0}},
		},
		"a queue": {
			func(p *pressure, now time.Time, i int) (step, fanout.Cause) {
				if between(i, 10, 20) {
					return p.roundTrip(now, 440*time.Millisecond)
				}
				return p.roundTrip(now, 40*time.Millisecond)
			}, []took{{11, stepThin, fanout.CauseDelay}, {22, stepFull, 0}},
		},
		"a far player": {
			func(p *pressure, now time.Time, _ int) (step, fanout.Cause) {
				return p.roundTrip(now, 800*time.Millisecond)
			}, nil,
		},
	} {
		t.Run(name, func(t *testing.T) {
			var p pressure
			var got []took
			began := time.Unix(1_700_000_000, 0)
			for i := range seconds {
				if do, cause := c.report(&p, began.Add(time.Duration(i)*time.Second), i); do != stepNone {
					got = append(got, took{i, do, cause})
				}
			}
			if len(got) != len(c.want) {
				t.Fatalf("steps %v, want %v", got, c.want)
			}
			for i := range got {
				if got[i] != c.want[i] {
					t.Fatalf("steps %v, want %v", got, c.want)
				}
			}
		})
	}
}

// A cause of which nothing is heard any more holds nobody down.
func TestPressureForgets(t *testing.T) {
	var p pressure
	began := time.Unix(1_700_000_000, 0)
	var last step
	for i := range 60 {
		now := began.Add(time.Duration(i) * time.Second)
		if i < 12 {
			if do, _ := p.estimate(now, 1.2, 2); do != stepNone {
				last = do
			}
		}
		if do, _ := p.loss(now, 0); do != stepNone {
			last = do
		}
		if i == 12 && last != stepThin {
			t.Fatalf("step %d", last)
		}
	}
	if last != stepFull {
		t.Errorf("step %d", last)
	}
}

func TestRoundTrip(t *testing.T) {
	now := time.Unix(1_700_000_000, 500_000_000)
	middle := uint32(now.Unix()+2208988800)<<16 | 1<<15
	for _, c := range []struct {
		lastSR, delay uint32
		want          time.Duration
		ok            bool
	}{
		{middle - 3<<16, 2 << 16, time.Second, true},
		{middle - 1<<14, 1 << 13, time.Second / 8, true},
		{0, 0, 0, false},                // no sender report came yet
		{middle, 1, 0, false},           // a report from the future
		{middle - 100<<16, 0, 0, false}, // a clock that was set
	} {
		if got, ok := roundTrip(now, c.lastSR, c.delay); got != c.want || ok != c.ok {
			t.Errorf("%d %d: %v %v, want %v %v", c.lastSR, c.delay, got, ok, c.want, c.ok)
		}
	}
}
