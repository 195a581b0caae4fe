package feedback

import (
	"testing"
	"time"

	"github.com/millrace/millrace/dataplane/relay/fanout"
)

// took is a step and how many seconds after the first report it came.
type took struct {
	at    int
	do    Step
	cause fanout.Cause
}

func TestPressure(t *testing.T) {
	const seconds = 40
	between := func(i, from, to int) bool { return i >= from && i < to }
	for name, c := range map[string]struct {
		report func(p *Pressure, now time.Time, i int) (Step, fanout.Cause)
		want   []took
	}{
		"enough": {
			func(p *Pressure, now time.Time, _ int) (Step, fanout.Cause) { return p.Estimate(now, 3, 2) }, nil,
		},
		"nothing is known of the stream": {
			func(p *Pressure, now time.Time, _ int) (Step, fanout.Cause) { return p.Estimate(now, 1, 0) }, nil,
		},
		"a low estimate at the beginning": {
			func(p *Pressure, now time.Time, i int) (Step, fanout.Cause) {
				if i < 5 {
					return p.Estimate(now, 0.3, 2)
				}
				return p.Estimate(now, 3, 2)
			}, nil,
		},
		"one low estimate": {
			func(p *Pressure, now time.Time, i int) (Step, fanout.Cause) {
				if i == 10 {
					return p.Estimate(now, 0.3, 2)
				}
				return p.Estimate(now, 3, 2)
			}, nil,
		},
		"too little for a while": {
			func(p *Pressure, now time.Time, i int) (Step, fanout.Cause) {
				if between(i, 10, 20) {
					return p.Estimate(now, 1.4, 2)
				}
				return p.Estimate(now, 3, 2)
			}, []took{{11, StepThin, fanout.CauseBandwidth}, {22, StepFull, 0}},
		},
		"far too little": {
			func(p *Pressure, now time.Time, i int) (Step, fanout.Cause) {
				if between(i, 10, 20) {
					return p.Estimate(now, 0.5, 2)
				}
				return p.Estimate(now, 3, 2)
			}, []took{{11, StepThin, fanout.CauseBandwidth}, {12, StepSkip, fanout.CauseBandwidth},
				{16, StepSkip, fanout.CauseBandwidth}, {22, StepFull, 0}},
		},
		"between two thresholds nothing changes": {
			func(p *Pressure, now time.Time, i int) (Step, fanout.Cause) {
				if between(i, 10, 13) {
					return p.Estimate(now, 1.4, 2)
				}
				return p.Estimate(now, 1.7, 2)
			}, []took{{11, StepThin, fanout.CauseBandwidth}},
		},
		"loss makes nobody wait for a key frame": {
			func(p *Pressure, now time.Time, i int) (Step, fanout.Cause) {
				if between(i, 10, 30) {
					return p.Loss(now, 0.5)
				}
				return p.Loss(now, 0)
			}, []took{{11, StepThin, fanout.CauseLoss}, {32, StepFull, 0}},
		},
		"a queue": {
			func(p *Pressure, now time.Time, i int) (Step, fanout.Cause) {
				if between(i, 10, 20) {
					return p.RoundTrip(now, 440*time.Millisecond)
				}
				return p.RoundTrip(now, 40*time.Millisecond)
			}, []took{{11, StepThin, fanout.CauseDelay}, {22, StepFull, 0}},
		},
		"a far player": {
			func(p *Pressure, now time.Time, _ int) (Step, fanout.Cause) {
				return p.RoundTrip(now, 800*time.Millisecond)
			}, nil,
		},
	} {
		t.Run(name, func(t *testing.T) {
			var p Pressure
			var got []took
			began := time.Unix(1_700_000_000, 0)
			for i := range seconds {
				if do, cause := c.report(&p, began.Add(time.Duration(i)*time.Second), i); do != StepNone {
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
	var p Pressure
	began := time.Unix(1_700_000_000, 0)
	var last Step
	for i := range 60 {
		now := began.Add(time.Duration(i) * time.Second)
		if i < 12 {
			if do, _ := p.Estimate(now, 1.2, 2); do != StepNone {
				last = do
			}
		}
		if do, _ := p.Loss(now, 0); do != StepNone {
			last = do
		}
		if i == 12 && last != StepThin {
			t.Fatalf("step %d", last)
		}
	}
	if last != StepFull {
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
		if got, ok := RoundTrip(now, c.lastSR, c.delay); got != c.want || ok != c.ok {
			t.Errorf("%d %d: %v %v, want %v %v", c.lastSR, c.delay, got, ok, c.want, c.ok)
		}
	}
}
