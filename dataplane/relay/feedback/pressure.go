package feedback

import (
	"time"

	"github.com/millrace/millrace/dataplane/relay/fanout"
)

// What a player reports is weighed so that a viewer with too little network gets less, in steps that do not flap: first
// it loses frames that nobody refers to, then it waits for the next key frame, again and again while it does not get
// better.
const (
	pressureFrom  = 5 * time.Second  // after the first report: estimates of the beginning are low
	pressureAfter = time.Second      // how long it must last before frames are left out
	skipAfter     = 2 * time.Second  // and, when it is bad, before a key frame is waited for
	skipPause     = 4 * time.Second  // between two waits for a key frame
	reliefAfter   = 3 * time.Second  // how long it must be well before all frames are sent again
	reportFor     = 10 * time.Second // for which a report counts
)

// strain is how one cause stands.
type strain uint8

const (
	well strain = iota
	strained
	bad
)

// grade returns the strain of a value that is worse the higher it is; between low and high it stays what it was.
func grade(was strain, value, low, high, highest float64) strain {
	switch {
	case value >= highest:
		return bad
	case value >= high:
		return max(was, strained)
	case value < low:
		return well
	case was == bad:
		return strained
	}
	return was
}

// reported is what was made of the reports for one cause.
type reported struct {
	strain strain
	since  time.Time // when it became strained
	bad    time.Time // when it became bad
	at     time.Time // of the last report
}

// Pressure weighs the reports of one player.
type Pressure struct {
	first  time.Time // report
	causes [3]reported
	base   time.Duration // the shortest round-trip time; rises slowly
	well   time.Time     // since when nothing strains
	thin   bool
	skip   time.Time // when a key frame was waited for last
}

// Step is what follows of a report.
type Step uint8

const (
	StepNone Step = iota
	StepThin
	StepFull
	StepSkip
)

// Estimate takes in the bandwidth that the player estimates for what it gets (REMB), against what the stream needs, in
// any one unit.
func (p *Pressure) Estimate(now time.Time, has, needs float64) (Step, fanout.Cause) {
	if has <= 0 || needs <= 0 {
		return StepNone, 0
	}
	return p.report(now, fanout.CauseBandwidth, needs/has, 1/0.9, 1/0.75, 1/0.5)
}

// Loss takes in the fraction of packets that were lost. That alone makes nobody wait for key frames: repeats fill what
// is missing.
func (p *Pressure) Loss(now time.Time, fraction float64) (Step, fanout.Cause) {
	return p.report(now, fanout.CauseLoss, fraction, 0.05, 0.1, 2)
}

// RoundTrip takes in a round-trip time. What it is more than the shortest is a queue somewhere.
func (p *Pressure) RoundTrip(now time.Time, rtt time.Duration) (Step, fanout.Cause) {
	if p.base == 0 || rtt < p.base {
		p.base = rtt
	} else {
		p.base += min(time.Millisecond, rtt-p.base) // another network may be a longer way
	}
	return p.Delay(now, rtt-p.base)
}

// Delay takes in for how long packets wait on the way.
func (p *Pressure) Delay(now time.Time, queue time.Duration) (Step, fanout.Cause) {
	return p.report(now, fanout.CauseDelay, queue.Seconds(), 0.15, 0.3, 1)
}

func (p *Pressure) report(now time.Time, cause fanout.Cause, value, low, high, highest float64) (Step, fanout.Cause) {
	if p.first.IsZero() {
		p.first, p.well = now, now
	}
	if now.Sub(p.first) < pressureFrom {
		return StepNone, 0
	}
	r := &p.causes[cause]
	was := r.strain
	r.strain, r.at = grade(was, value, low, high, highest), now
	if was == well && r.strain > well {
		r.since = now
	}
	if was < bad && r.strain == bad {
		r.bad = now
	}
	return p.decide(now)
}

// decide takes the worst of all causes.
func (p *Pressure) decide(now time.Time) (Step, fanout.Cause) {
	easy := true
	for i := range p.causes {
		r, cause := &p.causes[i], fanout.Cause(i)
		if r.strain == well || now.Sub(r.at) > reportFor {
			continue
		}
		easy, p.well = false, now
		switch {
		case !p.thin && now.Sub(r.since) >= pressureAfter:
			p.thin = true
			return StepThin, cause
		case p.thin && r.strain == bad && now.Sub(r.bad) >= skipAfter && now.Sub(p.skip) >= skipPause:
			p.skip = now
			return StepSkip, cause
		}
	}
	if easy && p.thin && now.Sub(p.well) >= reliefAfter {
		p.thin = false
		return StepFull, 0
	}
	return StepNone, 0
}
