package meter

import (
	"math/bits"
	"time"
)

// subBuckets per power of two: a value is known to about 3 %.
const subBuckets = 32

// Histogram counts durations in buckets that grow with the value. The zero value is empty; its size does not grow.
type Histogram struct {
	counts   [subBuckets * 26]uint32
	n        uint64
	max      time.Duration
	negative uint64
}

// Add counts one duration. A negative one (the clocks of sender and receiver disagree) counts as 0 and is kept count
// of.
func (h *Histogram) Add(d time.Duration) {
	if d < 0 {
		h.negative++
		d = 0
	}
	h.counts[bucket(d)]++
	h.n++
	h.max = max(h.max, d)
}

// Merge adds the counts of other.
func (h *Histogram) Merge(other *Histogram) {
	for i, n := range other.counts {
		h.counts[i] += n
	}
	h.n += other.n
	h.negative += other.negative
	h.max = max(h.max, other.max)
}

// Since returns what was added after earlier, a copy of this histogram from before; the longest duration is that of
// both.
func (h *Histogram) Since(earlier *Histogram) *Histogram {
	out := *h
	for i, n := range earlier.counts {
		out.counts[i] -= n
	}
	out.n -= earlier.n
	out.negative -= earlier.negative
	return &out
}

// Count is the number of durations added.
func (h *Histogram) Count() uint64 { return h.n }

// Negative is the number of durations below 0.
func (h *Histogram) Negative() uint64 { return h.negative }

// Max is the longest duration added.
func (h *Histogram) Max() time.Duration { return h.max }

// Quantile returns the duration that a share q (0 to 1) of all does not exceed; 0 when empty.
func (h *Histogram) Quantile(q float64) time.Duration {
	if h.n == 0 {
		return 0
	}
	rank := uint64(q * float64(h.n-1))
	seen := uint64(0)
	for i, n := range h.counts {
		seen += uint64(n)
		if n > 0 && seen > rank {
			return min(upper(i), h.max)
		}
	}
	return h.max
}

// bucket finds the place of d: below subBuckets microseconds one per microsecond, then subBuckets per power of two.
func bucket(d time.Duration) int {
	us := uint64(d / time.Microsecond)
	if us < subBuckets {
		return int(us)
	}
	power := bits.Len64(us) - bits.Len64(subBuckets-1) // >= 1
	i := power*subBuckets + int(us>>(power-1)) - subBuckets
	return min(i, len(Histogram{}.counts)-1)
}

// upper returns the longest duration of a bucket.
func upper(i int) time.Duration {
	if i < subBuckets {
		return time.Duration(i) * time.Microsecond
	}
	power, rest := i/subBuckets, i%subBuckets
	return time.Duration(((uint64(rest)+subBuckets+1)<<(power-1))-1) * time.Microsecond
}
