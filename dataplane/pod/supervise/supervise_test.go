package supervise

import (
	"testing"
	"time"
)

// Which ends of a child are answered with another start: each step is how long the child ran, right after the one
// before.
func TestWhatIsStartedAgain(t *testing.T) {
	for name, steps := range map[string][]struct {
		ran  time.Duration
		want bool
	}{
		"it lasted":              {{time.Hour, true}, {lasted, true}},
		"it ended at once":       {{lasted - 1, false}},
		"and at once after that": {{time.Hour, true}, {time.Second, false}},
		"too often": {{lasted, true}, {lasted, true}, {lasted, true}, {lasted, true}, {lasted, true},
			{lasted, false}},
		"often, over a long time": {
			{time.Hour, true}, {span / 4, true}, {span / 4, true}, {span / 4, true}, {span / 4, true}, {span / 4, true},
			{span / 4, true}, {span / 4, true},
		},
	} {
		t.Run(name, func(t *testing.T) {
			var h history
			now := time.Unix(1e9, 0)
			for i, s := range steps {
				if now = now.Add(s.ran); h.again(s.ran, now) != s.want {
					t.Fatalf("step %d: after %v it is started again: %t", i, s.ran, !s.want)
				}
			}
		})
	}
}
