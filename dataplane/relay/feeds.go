package relay

import (
	"sync"
	"time"

	"github.com/millrace/millrace/dataplane/hub"
	"github.com/millrace/millrace/dataplane/relay/fanout"
)

// feeds shares one feed among all viewers of a stream. A feed outlives its last viewer a little, for the next one.
type feeds struct {
	linger time.Duration

	mu    sync.Mutex
	feeds map[*hub.Stream]*feed
}

type feed struct {
	feed  *fanout.Feed
	users int
	timer *time.Timer
}

func newFeeds(linger time.Duration) *feeds {
	return &feeds{linger: linger, feeds: map[*hub.Stream]*feed{}}
}

// acquire returns the stream's feed and counts one user more.
func (t *feeds) acquire(s *hub.Stream) *feed {
	t.mu.Lock()
	defer t.mu.Unlock()
	f := t.feeds[s]
	if f == nil {
		f = &feed{feed: fanout.NewFeed(s)}
		t.feeds[s] = f
	}
	f.users++
	if f.timer != nil {
		f.timer.Stop()
		f.timer = nil
	}
	return f
}

// release counts one user less.
func (t *feeds) release(f *feed) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if f.users--; f.users > 0 {
		return
	}
	linger := t.linger
	if f.feed.Ended() {
		linger = 0
	}
	f.timer = time.AfterFunc(linger, func() { t.expire(f) })
}

func (t *feeds) expire(f *feed) {
	t.mu.Lock()
	unused := f.users == 0
	if unused && t.feeds[f.feed.Stream] == f {
		delete(t.feeds, f.feed.Stream)
	}
	t.mu.Unlock()
	if unused {
		f.feed.Close()
	}
}

func (t *feeds) count() int {
	t.mu.Lock()
	defer t.mu.Unlock()
	return len(t.feeds)
}

func (t *feeds) close() {
	t.mu.Lock()
	all := t.feeds
	t.feeds = map[*hub.Stream]*feed{}
	t.mu.Unlock()
	for _, f := range all {
		f.feed.Close()
	}
}
