package door

import (
	"fmt"
	"testing"

	"github.com/millrace/millrace/internal/contract/plan"
)

// A stranger begins joins and never connects. A viewer that joins as well keeps its place and others find one: the
// oldest of the stranger's leave.
func TestJoinsThatAreLeftFillNoLimit(t *testing.T) {
	for name, c := range map[string]struct {
		limits   Limits
		domain   plan.PlayDomain
		stranger func(i int) string
	}{
		"domain":  {Limits{}, plan.PlayDomain{MaxViewers: 50}, func(int) string { return "192.0.2.1" }},
		"process": {Limits{MaxViewers: 50}, plan.PlayDomain{}, func(int) string { return "192.0.2.1" }},
		"a /48": {
			Limits{MaxViewers: 50}, plan.PlayDomain{}, func(i int) string { return fmt.Sprintf("2001:db8:0:%x::1", i) },
		},
	} {
		t.Run(name, func(t *testing.T) {
			d := newClocked(t, c.limits)
			waits, no := d.come("a", "198.51.100.1", 1, true, c.domain)
			if no != nil {
				t.Fatal(no)
			}
			gone := make(chan struct{}, 1000)
			var first *Pass
			for i := range 200 {
				p, no := d.come("a", c.stranger(i), 1, true, c.domain)
				if no != nil {
					t.Fatal(no)
				}
				if first == nil {
					first = p
				}
				p.OnDisplaced(func() { gone <- struct{}{} })
			}
			for i := range 30 {
				p, no := d.come("a", fmt.Sprintf("203.0.113.%d", i), 1, true, c.domain)
				if no != nil {
					t.Fatalf("healthy viewer %d: %v", i, no)
				}
				p.Arrive()
			}
			if n := d.Viewers(plan.RTS); n > 50 {
				t.Errorf("%d viewers, more than the limit", n)
			}
			if waits.displaced != nil {
				t.Error("a viewer that joins lost its place to the stranger")
			}
			if reasonOf(first.Allowed()) != TooManyViewers {
				t.Error("the oldest join of the stranger is still allowed")
			}
			<-gone
		})
	}
}
