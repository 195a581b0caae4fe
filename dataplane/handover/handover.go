// Package handover paces the end of the viewers of a server that drains. A crowd that asks for its streams anew at once
// waits for itself: in the pages of its browsers, in the pods that take it, and in whatever stands between them.
package handover

import (
	"context"
	"time"
)

// slowest is the longest time from one viewer to the next: a few need not wait for each other.
const slowest = time.Second

// Spread calls end for 0 to n-1, one after the other, evenly over a time, or less when they are few. It returns how
// many it has not called when the context ends.
func Spread(ctx context.Context, n int, over time.Duration, end func(i int)) (left int) {
	began := time.Now()
	for i := range n {
		select {
		case <-ctx.Done():
			return n - i
		case <-time.After(time.Until(began.Add(at(i, n, over)))):
		}
		end(i)
	}
	return 0
}

// at is when the i-th of n is due.
func at(i, n int, over time.Duration) time.Duration {
	return time.Duration(i) * min(over/time.Duration(n), slowest)
}
