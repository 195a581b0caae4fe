package closenotice

import (
	"context"
	"errors"
	"time"
)

// A viewer that misses its close notice waits for five seconds and more until it knows. So each is sent three times,
// after these times.
const (
	ResendAfter  = 50 * time.Millisecond
	ResendLast   = 150 * time.Millisecond // after the second time
	ResendWithin = ResendAfter + ResendLast
)

const (
	burst = 100 // sent at once; then a pause, for all of them come back
	pause = 10 * time.Millisecond
)

// ErrNoSocket says that no socket has the address that a viewer knows.
var ErrNoSocket = errors.New("no socket has the address that the viewer knows")

// Send sends the close notices that a killed process left, from the sockets that the viewers know: each three times,
// burst at a time. It returns to how many viewers one was sent.
func Send(ctx context.Context, left []Notice, send func(Notice) error) (told int) {
	bursts := (len(left) + burst - 1) / burst
	for n := range bursts + int(ResendWithin/pause) {
		for _, before := range []time.Duration{0, ResendAfter, ResendWithin} { // who was sent it so long ago gets it again
			i := n - int(before/pause)
			if i < 0 || i >= bursts {
				continue
			}
			for _, f := range left[i*burst : min((i+1)*burst, len(left))] {
				if err := send(f); err == nil && before == 0 {
					told++
				}
			}
		}
		if !Wait(ctx, pause) {
			break
		}
	}
	return told
}

// Wait waits for d. It reports false when the context has ended before.
func Wait(ctx context.Context, d time.Duration) bool {
	select {
	case <-ctx.Done():
		return false
	case <-time.After(d):
		return true
	}
}
