package announce

import (
	"bufio"
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"net"
	"net/http"
	"sync/atomic"
	"time"

	"github.com/go-logr/logr"
)

const (
	maxLine    = 1 << 20 // a status names every domain and stream of a pod
	maxStreams = 50_000  // of one pod that a listener keeps
	dialTime   = 3 * time.Second
	retryFirst = 100 * time.Millisecond
	retryMost  = 3 * time.Second
)

var (
	errSilent   = errors.New("no line came in time")
	errNoHello  = errors.New("the first line is not hello")
	errTooMuch  = errors.New("the pod announces too many streams")
	errNoAnswer = errors.New("the pod does not announce")
)

// Snapshot is what one pod has announced. It is a value that nobody changes.
type Snapshot struct {
	Hello   Hello
	Status  Status
	Streams map[ID]Stream
	Version int  // another one after each change of Streams
	Synced  bool // all was told that there was at the beginning
}

// Client listens to one pod for as long as its context lasts, and connects again, with growing pauses, when the
// connection ends.
type Client struct {
	URL       string // https://host:port/v1/announce, or http:// in tests
	TLSConfig *tls.Config
	Log       logr.Logger

	// Changed is called, from one goroutine, with the pod's state after each batch of lines, and with nil when the
	// connection is lost: then nothing is known of the pod.
	Changed func(*Snapshot)
	// Failed, if not nil, is called when a connection could not be made.
	Failed func()
}

// Run listens until the context ends.
func (c *Client) Run(ctx context.Context) {
	pause := retryFirst
	said := ""
	for ctx.Err() == nil {
		began := time.Now()
		synced, err := c.listen(ctx)
		switch {
		case synced:
			c.Changed(nil)
		case c.Failed != nil:
			c.Failed()
		}
		if ctx.Err() != nil {
			return
		}
		if synced && time.Since(began) > retryMost {
			pause, said = retryFirst, ""
		}
		if text := err.Error(); text != said {
			said = text
			c.Log.V(1).Info("Announcements ended", "url", c.URL, "error", text)
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(pause/2 + rand.N(pause)):
		}
		pause = min(2*pause, retryMost)
	}
}

// listen is one connection; told reports whether anything was told.
func (c *Client) listen(ctx context.Context) (told bool, err error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var heard atomic.Int64
	heard.Store(time.Now().UnixNano())
	go watch(ctx, cancel, &heard)

	transport := &http.Transport{
		TLSClientConfig: c.TLSConfig, DialContext: (&net.Dialer{Timeout: dialTime}).DialContext, DisableKeepAlives: true,
		DisableCompression:  true,
		TLSHandshakeTimeout: dialTime, ForceAttemptHTTP2: false, TLSNextProto: map[string]func(string,
			*tls.Conn) http.RoundTripper{},
	}
	defer transport.CloseIdleConnections()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, c.URL, nil)
	if err != nil {
		return false, fmt.Errorf("asking for announcements: %w", err)
	}
	res, err := transport.RoundTrip(req)
	if err != nil {
		return false, fmt.Errorf("asking for announcements: %w", cause(ctx, err))
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusOK {
		return false, fmt.Errorf("%w: %s", errNoAnswer, res.Status)
	}
	return c.read(ctx, bufio.NewReaderSize(res.Body, 64<<10), &heard)
}

// watch ends a connection that is silent.
func watch(ctx context.Context, cancel context.CancelCauseFunc, heard *atomic.Int64) {
	tick := time.NewTicker(200 * time.Millisecond)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		if time.Since(time.Unix(0, heard.Load())) > SilentFor {
			cancel(errSilent)
			return
		}
	}
}

func cause(ctx context.Context, err error) error {
	if why := context.Cause(ctx); why != nil {
		return why
	}
	return err
}

func (c *Client) read(ctx context.Context, in *bufio.Reader, heard *atomic.Int64) (told bool, err error) {
	now, pending := &state{streams: map[ID]Stream{}}, false
	for {
		l, err := readLine(in)
		if err != nil {
			return told, cause(ctx, err)
		}
		heard.Store(time.Now().UnixNano())
		if !told && l.Hello == nil {
			return told, errNoHello
		}
		told = true
		now.apply(l)
		if len(now.streams) > maxStreams {
			return told, errTooMuch
		}
		pending = pending || l.Heartbeat == nil
		if pending && now.Synced && in.Buffered() == 0 { // lines that came together are told together
			pending = false
			c.Changed(now.snapshot())
		}
	}
}

func readLine(in *bufio.Reader) (Line, error) {
	var text []byte
	for {
		part, err := in.ReadSlice('\n')
		text = append(text, part...)
		if len(text) > maxLine {
			return Line{}, fmt.Errorf("a line has more than %d bytes", maxLine)
		}
		if errors.Is(err, bufio.ErrBufferFull) {
			continue
		}
		if err != nil {
			return Line{}, fmt.Errorf("reading announcements: %w", err)
		}
		break
	}
	var l Line
	if err := json.Unmarshal(text, &l); err != nil {
		return Line{}, fmt.Errorf("reading a line: %w", err)
	}
	return l, nil
}

// state is what was told on one connection so far.
type state struct {
	Snapshot

	streams map[ID]Stream
	changed bool // streams is not what the last snapshot shows
}

// apply takes a line; what it does not know it passes over, for newer pods may say more.
func (s *state) apply(l Line) {
	switch {
	case l.Hello != nil:
		s.Hello = *l.Hello
	case l.Stream != nil:
		s.streams[l.Stream.ID], s.changed = *l.Stream, true
	case l.Gone != nil:
		delete(s.streams, l.Gone.ID)
		s.changed = true
	case l.Status != nil:
		s.Status, s.Synced = *l.Status, true
	}
}

// snapshot shows the state; streams are copied when they changed.
func (s *state) snapshot() *Snapshot {
	if s.changed || s.Streams == nil {
		s.Streams, s.changed = maps.Clone(s.streams), false
		s.Version++
	}
	out := s.Snapshot
	return &out
}
