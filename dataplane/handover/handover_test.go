package handover

import (
	"context"
	"slices"
	"testing"
	"time"
)

func TestAFewGoSoonAndManyEvenly(t *testing.T) {
	for _, c := range []struct {
		i, n       int
		over, want time.Duration
	}{
		{0, 1, time.Hour, 0},
		{3, 4, time.Minute, 3 * time.Second},
		{50, 100, 10 * time.Second, 5 * time.Second},
		{9_999, 10_000, 10 * time.Second, 9_999 * time.Millisecond},
		{7, 8, 0, 0},
	} {
		if got := at(c.i, c.n, c.over); got != c.want {
			t.Errorf("the %d. of %d over %s is due after %s, want %s", c.i, c.n, c.over, got, c.want)
		}
	}
}

func TestSpreadEndsWithItsContext(t *testing.T) {
	var ended []int
	if left := Spread(t.Context(), 5, 0, func(i int) { ended = append(ended, i) }); left != 0 ||
		!slices.Equal(ended, []int{0, 1, 2, 3, 4}) {
		t.Errorf("%d are left of %v", left, ended)
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended = nil
	left := Spread(ctx, 5, time.Hour, func(i int) {
		ended = append(ended, i)
		if i == 1 {
			cancel()
		}
	})
	if left != 3 || !slices.Equal(ended, []int{0, 1}) {
		t.Errorf("%d are left of %v after the context ended", left, ended)
	}
	if left := Spread(t.Context(), 0, time.Hour, nil); left != 0 {
		t.Errorf("%d are left of none", left)
	}
}
