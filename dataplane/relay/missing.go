package relay

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/millrace/millrace/dataplane/hub"
)

// missing remembers for a moment which streams were not found, so that a crowd that asks for a stream which has ended costs one look
// per second, whatever the look costs. A stream that appears is found at once.
type missing struct {
	stop func()

	mu    sync.Mutex
	until map[hub.Key]time.Time
}

const (
	missingTime = time.Second      // what is said again without a look
	findTime    = 10 * time.Second // for a stream that is on its way
	missingMost = 4096             // entries; a flood of other names empties the memory rather than filling it
)

func newMissing(h *hub.Hub) *missing {
	m := &missing{until: map[hub.Key]time.Time{}}
	m.stop = h.Watch(func(s *hub.Stream, live bool) {
		if live {
			m.forget(s.Key)
		}
	})
	return m
}

func (m *missing) forget(key hub.Key) {
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.until, key)
}

// Appeared says that Options.Find may find a stream now that it did not find before.
func (r *Relay) Appeared(key hub.Key) { r.missing.forget(key) }

// lookup asks find unless the key was missing a moment ago.
func (m *missing) lookup(ctx context.Context, key hub.Key, find hub.Finder) (*hub.Stream, error) {
	now := time.Now()
	m.mu.Lock()
	until, known := m.until[key]
	m.mu.Unlock()
	if known && now.Before(until) {
		return nil, hub.ErrNotFound
	}
	ctx, cancel := context.WithTimeout(ctx, findTime)
	defer cancel()
	s, err := find.Find(ctx, key)
	if !errors.Is(err, hub.ErrNotFound) {
		return s, err
	}
	m.mu.Lock()
	if len(m.until) >= missingMost {
		clear(m.until)
	}
	m.until[key] = now.Add(missingTime)
	m.mu.Unlock()
	if s, err = find.Find(ctx, key); err == nil { // it appeared between the look and the note
		m.forget(key)
	}
	return s, err
}

func (m *missing) close() { m.stop() }
