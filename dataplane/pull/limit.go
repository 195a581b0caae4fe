package pull

import (
	"errors"
	"net"
	"sync"
	"time"
)

// limiter bounds the open connections of a listener: one too many is closed at once. Errors that pass do not end it.
type limiter struct {
	net.Listener
	places chan struct{}
	onOver func()
}

func newLimiter(l net.Listener, limit int, onOver func()) *limiter {
	return &limiter{l, make(chan struct{}, limit), onOver}
}

// Accept waits for a connection that has a place.
func (l *limiter) Accept() (net.Conn, error) {
	for {
		c, err := l.Listener.Accept()
		if errors.Is(err, net.ErrClosed) {
			return nil, err
		}
		if err != nil {
			time.Sleep(50 * time.Millisecond) // out of file descriptors, or the peer was gone already
			continue
		}
		select {
		case l.places <- struct{}{}:
			return &limited{Conn: c, leave: func() { <-l.places }}, nil
		default:
			l.onOver()
			_ = c.Close() // nobody was told of it
		}
	}
}

type limited struct {
	net.Conn
	once  sync.Once
	leave func()
}

// Close closes the connection and gives its place back.
func (c *limited) Close() error {
	c.once.Do(c.leave)
	return c.Conn.Close()
}
