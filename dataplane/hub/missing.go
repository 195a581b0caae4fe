package hub

import (
	"context"
	"errors"
	"sync"
	"time"
)

// Missing remembers for a moment which streams were not found, so that a crowd that asks for a stream which has ended
// costs one look per second, whatever the look costs. A stream that appears is found at once.
type Missing struct {
	stop func()

	mu    sync.Mutex
	until map[Key]time.Time
}

const (
	missingTime = time.Second      // what is said again without a look
	findTime    = 10 * time.Second // for a stream that is on its way
	missingMost = 4096             // entries; a flood of other names empties the memory rather than filling it
)

// NewMissing makes a memory of the streams of a hub. Close ends it.
func NewMissing(h *Hub) *Missing {
	m := &Missing{until: map[Key]time.Time{}}
	m.stop = h.Watch(func(s *Stream, live bool) {
		if live {
			m.forget(s.Key)
		}
	})
	return m
}

func (m *Missing) forget(key Key) {
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.until, key)
}

// Appeared says that a Finder may find a stream now that it did not find before.
func (m *Missing) Appeared(key Key) { m.forget(key) }

// Find asks find unless the key was missing a moment ago.
func (m *Missing) Find(ctx context.Context, key Key, find Finder) (*Stream, error) {
	now := time.Now()
	m.mu.Lock()
	until, known := m.until[key]
	m.mu.Unlock()
	if known && now.Before(until) {
		return nil, ErrNotFound
	}
	ctx, cancel := context.WithTimeout(ctx, findTime)
	defer cancel()
	s, err := find.Find(ctx, key)
	if !errors.Is(err, ErrNotFound) {
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

// Close ends the memory.
func (m *Missing) Close() { m.stop() }
