package ingest

import "time"

// rateSeconds is over how many seconds a publisher's bit rate is held against its limit.
const rateSeconds = 5

// rateLimit compares the bit rate of the last whole seconds of wall clock with a limit.
type rateLimit struct {
	second  int64 // Unix second of the bucket in use
	buckets [rateSeconds]int
	filled  int // whole seconds seen, up to rateSeconds
	current int
}

// add counts bytes received at a time and gives the mean rate over the last whole seconds in kbit/s; 0 until there were
// enough.
func (r *rateLimit) add(now time.Time, bytes int) int {
	s := now.Unix()
	if r.second == 0 {
		r.second = s
	}
	for r.second < s {
		copy(r.buckets[:], r.buckets[1:])
		r.buckets[rateSeconds-1] = r.current
		r.current = 0
		r.second++
		if r.filled < rateSeconds+1 {
			r.filled++
		}
		if s-r.second > 2*rateSeconds { // the clock was set, or nothing came for long
			*r = rateLimit{second: s}
		}
	}
	r.current += bytes
	if r.filled <= rateSeconds { // the first second was not whole
		return 0
	}
	sum := 0
	for _, b := range r.buckets {
		sum += b
	}
	return sum * 8 / 1000 / rateSeconds
}
