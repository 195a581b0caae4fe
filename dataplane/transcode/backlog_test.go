package transcode

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/millrace/millrace/dataplane/media"
)

// arriving returns frames of these ages, one at a time; a negative one has to be waited for, and pause never comes.
type arriving []time.Duration

const pause = time.Duration(0)

func (a *arriving) TryNext() (*media.Frame, error) {
	if len(*a) == 0 || (*a)[0] <= 0 {
		return nil, nil
	}
	return a.take()
}

func (a *arriving) Next(context.Context) (*media.Frame, error) {
	if len(*a) == 0 {
		return nil, errors.New("more was waited for than comes")
	}
	if (*a)[0] == pause {
		return nil, context.DeadlineExceeded
	}
	return a.take()
}

func (a *arriving) take() (*media.Frame, error) {
	f := &media.Frame{Ingest: time.Now().Add(-(*a)[0].Abs())}
	*a = (*a)[1:]
	return f, nil
}

// A backlog is what comes until it is fresh, or until nothing comes for a moment.
func TestBacklogEndsAtTheLiveEdge(t *testing.T) {
	const old, fresh = time.Minute, time.Nanosecond
	for name, c := range map[string]struct {
		comes arriving
		want  int
	}{
		"all there":                 {arriving{old, old, fresh}, 3},
		"in a burst with gaps":      {arriving{-old, old, -old, old, -old, fresh, -fresh}, 6},
		"described before it comes": {arriving{-old, fresh, -old}, 2},
		"clocks that differ":        {arriving{old, old, pause, old}, 2},
	} {
		got, err := (&pass{}).backlog(t.Context(), &c.comes)
		if err != nil || len(got) != c.want {
			t.Errorf("%s: %d frames, %v; want %d", name, len(got), err, c.want)
		}
	}
}
