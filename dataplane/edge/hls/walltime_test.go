package hls

import (
	"testing"
	"time"

	"github.com/millrace/millrace/dataplane/media"
)

// The dates of segments follow the media while frames arrive unevenly, and the publisher's clock where it is slower or
// faster than ours.
func TestWallTime(t *testing.T) {
	epoch := time.Unix(1_700_000_000, 0)
	const step = 100 * time.Millisecond
	for _, c := range []struct {
		name    string
		late    func(at time.Duration) time.Duration // after which a frame arrives, beyond its time stamp
		seconds int
		want    time.Duration // how late the last segment's date is
		slack   time.Duration
	}{
		{"evenly", func(time.Duration) time.Duration { return 0 }, 60, 0, 0},
		{"key frames late", func(at time.Duration) time.Duration {
			if at%(2*time.Second) == 0 {
				return 80 * time.Millisecond
			}
			return 0
		}, 60, 0, 80 * time.Millisecond},
		{"a start that is caught up with", func(at time.Duration) time.Duration { return max(500*time.Millisecond-at/10, 0) },
			900, 0, time.Millisecond},
		{"a slow publisher", func(at time.Duration) time.Duration { return at / 5000 }, 3600, 720 * time.Millisecond,
			time.Millisecond},
		{"a fast publisher", func(at time.Duration) time.Duration { return -at / 5000 }, 3600, -720 * time.Millisecond,
			time.Millisecond},
	} {
		t.Run(c.name, func(t *testing.T) {
			var w wallTime
			var last time.Time
			for at := time.Duration(0); at <= time.Duration(c.seconds)*time.Second; at += step {
				f := &media.Frame{DTS: at, Ingest: epoch.Add(at + c.late(at))}
				w.observe(f)
				if at%(2*time.Second) != 0 {
					continue
				}
				date := w.begin(f, time.Time{})
				if off := date.Sub(last) - 2*time.Second; !last.IsZero() && off.Abs() > 2*maxSlew {
					t.Fatalf("at %v the date is %v off the end of the segment before", at, off)
				}
				last = date
			}
			off := last.Sub(epoch.Add(time.Duration(c.seconds) * time.Second))
			if diff := off - c.want; diff.Abs() > c.slack {
				t.Errorf("the last date is %v late, want %v", off, c.want)
			}
		})
	}
}

// A publisher that comes back begins a time of its own.
func TestWallTimeOfANewPublisher(t *testing.T) {
	epoch := time.Unix(1_700_000_000, 0)
	var w wallTime
	w.begin(&media.Frame{DTS: time.Second, Ingest: epoch}, time.Time{})
	w.observe(&media.Frame{DTS: 2 * time.Second, Ingest: epoch.Add(-time.Hour)})
	at := epoch.Add(5 * time.Minute)
	if got := w.begin(&media.Frame{DTS: 3 * time.Second, Ingest: at, Epoch: 1}, time.Time{}); !got.Equal(at) {
		t.Errorf("it begins at %v, want %v", got, at)
	}
	if got := w.begin(&media.Frame{DTS: 3 * time.Second, Epoch: 2}, at); !got.Equal(at) {
		t.Errorf("without a time of the ingest it begins at %v, want %v", got, at)
	}
}
