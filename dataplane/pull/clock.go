package pull

import "time"

// ticks converts media time to units of a clock rate in Hz, rounded; it wraps as RTP timestamps do (RFC 3550, section
// 5.1).
func ticks(d time.Duration, rate int) uint32 {
	whole, part := d/time.Second, d%time.Second
	return uint32(int64(whole)*int64(rate) + (int64(part)*int64(rate)+int64(time.Second)/2)/int64(time.Second))
}

// duration converts units of a clock rate in Hz to media time, rounded.
func duration(n int64, rate int) time.Duration {
	whole, part := n/int64(rate), n%int64(rate)
	return time.Duration(whole)*time.Second + time.Duration((part*int64(time.Second)+int64(rate)/2)/int64(rate))
}

// ntpEpoch is the time from NTP's to Unix' zero, in seconds (RFC 5905, figure 4).
const ntpEpoch = 2_208_988_800

func toNTP(t time.Time) uint64 {
	return uint64(t.Unix()+ntpEpoch)<<32 | uint64(t.Nanosecond())<<32/uint64(time.Second)
}

func fromNTP(v uint64) time.Time {
	return time.Unix(int64(v>>32)-ntpEpoch, int64((v&0xFFFF_FFFF)*uint64(time.Second)>>32))
}

// wallDrift is how far the ingest's clock may run from the line that the reports tell before they tell another. Less
// would move the line with every jitter of an encoder's network, and tools that align tracks by reports would see the
// time stamps jump.
const wallDrift = 100 * time.Millisecond

// wall is the line from media time to the ingest's clock.
type wall struct {
	zero time.Time // at which DTS 0 came in
	best time.Time // the same, by the least delayed frame since the last report; zero time: none came
}

// see takes a frame into account.
func (w *wall) see(ingest time.Time, dts time.Duration) {
	if ingest.IsZero() {
		return
	}
	if at := ingest.Add(-dts); w.best.IsZero() || at.Before(w.best) {
		w.best = at
	}
}

// settle is called before each report and moves the line when it has drifted.
func (w *wall) settle(now time.Time, dts time.Duration) {
	switch {
	case w.best.IsZero() && w.zero.IsZero():
		w.zero = now.Add(-dts)
	case w.best.IsZero():
	case w.zero.IsZero() || w.best.Sub(w.zero).Abs() > wallDrift:
		w.zero = w.best
	}
	w.best = time.Time{}
}

// timeline puts the tracks of one connection on one line of media time. It is not safe for concurrent use.
type timeline struct {
	started   bool
	byReports bool      // reports came before the first packet, and align the tracks; else the time of arrival does
	zero      time.Time // of media time 0: on the server's clock by reports, else on ours
	last      time.Duration
}

// trackClock is the part of a timeline that belongs to one track.
type trackClock struct {
	rate     int
	anchored bool
	lastRTP  uint32
	pts      int64 // of lastRTP, in units of rate
	start    time.Duration

	reported   bool
	reportTime time.Time
	reportRTP  uint32
}

// report takes a sender report.
func (t *timeline) report(c *trackClock, ntp uint64, rtp uint32) {
	c.reported, c.reportTime, c.reportRTP = true, fromNTP(ntp), rtp
	if !t.started {
		t.started, t.byReports, t.zero = true, true, c.reportTime
	}
	if !c.anchored && t.byReports {
		c.anchor(rtp, c.reportTime.Sub(t.zero))
	}
}

func (c *trackClock) anchor(rtp uint32, at time.Duration) {
	c.anchored, c.lastRTP, c.pts, c.start = true, rtp, 0, at
}

// at returns the PTS of an RTP timestamp, and the ingest's clock for it; zero time when no report came.
func (t *timeline) at(c *trackClock, rtp uint32, now time.Time) (time.Duration, time.Time) {
	if !t.started {
		t.started, t.zero = true, now
	}
	if !c.anchored {
		start := t.last // in a stream with reports: one that came late takes the place where the others stand
		if !t.byReports {
			start = now.Sub(t.zero)
		}
		c.anchor(rtp, start)
	}
	c.pts += int64(int32(rtp - c.lastRTP))
	c.lastRTP = rtp
	pts := c.start + duration(c.pts, c.rate)
	t.last = max(t.last, pts)
	var ingest time.Time
	if c.reported {
		ingest = c.reportTime.Add(duration(int64(int32(rtp-c.reportRTP)), c.rate))
	}
	return pts, ingest
}
