package feedback

import (
	"testing"
	"time"
)

func TestBudget(t *testing.T) {
	var b Budget
	now := time.Unix(1, 0)
	if !b.Take(asksAtOnce, now) || b.Take(1, now) {
		t.Error("not asksAtOnce at once")
	}
	if now = now.Add(time.Second / 2); !b.Take(asksPerSecond/2, now) || b.Take(1, now) {
		t.Error("not asksPerSecond")
	}
	if now = now.Add(time.Hour); !b.Take(asksAtOnce, now) || b.Take(1, now) {
		t.Error("a pause gives more than asksAtOnce")
	}
}
