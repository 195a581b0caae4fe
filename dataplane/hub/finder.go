package hub

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// ErrNotFound: nobody publishes the stream.
var ErrNotFound = errors.New("the stream is not being published")

// UnavailableError says that a stream exists, or could be made, but not now: a rendition for which there is no room, an
// origin that does not answer.
type UnavailableError struct {
	Reason     string        // one CamelCase word that players are told
	Message    string        // what to do
	RetryAfter time.Duration // when to ask again
}

// Error returns the message.
func (e *UnavailableError) Error() string { return fmt.Sprintf("%s: %s", e.Reason, e.Message) }

// Finder returns the roles that play streams what they are asked for. A Hub finds what is in its process; others fetch
// a stream from where it is published, or make a rendition, when somebody asks.
type Finder interface {
	// Find returns the stream of a key when it can be played, which is when its tracks are known. It waits for what is on
	// its way, at most until the context ends. The errors are ErrNotFound, an *UnavailableError, and the context's.
	//
	// A stream that was fetched or made for players goes away some time after its last reader (see Stream.IdleSince);
	// there is nothing to give back.
	Find(ctx context.Context, key Key) (*Stream, error)
}

// Find makes a Hub the Finder of what is published in its process.
func (h *Hub) Find(_ context.Context, key Key) (*Stream, error) {
	if s := h.Lookup(key); s != nil && s.Tracks() != nil {
		return s, nil
	}
	return nil, ErrNotFound
}

// IdleSince tells since when the stream has had no reader; zero while it has one.
func (s *Stream) IdleSince() time.Time {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.idle
}

// Readers counts the readers of the stream.
func (s *Stream) Readers() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.readers
}
