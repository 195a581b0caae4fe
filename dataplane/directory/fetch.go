package directory

import (
	"context"
	"errors"
	"sync/atomic"
	"time"

	"github.com/millrace/millrace/dataplane/announce"
	"github.com/millrace/millrace/dataplane/hub"
	"github.com/millrace/millrace/dataplane/pull"
)

const (
	lookEvery    = 20 * time.Millisecond  // for tracks, until the stream can be played
	checkEvery   = 500 * time.Millisecond // for a better origin, and whether anybody reads
	againFirst   = 100 * time.Millisecond // before an origin that failed is asked again
	againMost    = 2 * time.Second
	fetchTimeout = 10 * time.Second // for an answer, which may wait for a rendition's first picture
)

// errAgain: the fetch that was waited for has ended; whoever still wants the stream looks again.
var errAgain = errors.New("the fetch has ended")

// fetch keeps one stream in the hub: it pulls from the best origin, goes to another one when that is better or the
// first is lost, and ends with the stream, or some time after its last reader.
type fetch struct {
	finder *Finder
	key    hub.Key
	wake   chan struct{}
	ready  chan struct{} // closed when the stream could be played for the first time
	done   chan struct{}
	err    error        // why it never came; may be read after done
	from   atomic.Value // string

	// Owned by run.
	failures map[string]*failure // by address of the origin
	refused  *hub.UnavailableError
	played   bool
	began    time.Time
}

type failure struct {
	pause time.Duration
	until time.Time
}

// attempt is one run of a pull client.
type attempt struct {
	origin announce.Origin
	cancel context.CancelFunc
	began  time.Time
	result chan error
}

func newFetch(f *Finder, key hub.Key) *fetch {
	return &fetch{
		finder: f, key: key, wake: make(chan struct{}, 1), ready: make(chan struct{}), done: make(chan struct{}),
		failures: map[string]*failure{}, began: time.Now(),
	}
}

func (x *fetch) poke() {
	select {
	case x.wake <- struct{}{}:
	default:
	}
}

// wait waits until the stream can be played.
func (x *fetch) wait(ctx context.Context) (*hub.Stream, error) {
	select {
	case <-x.ready:
	case <-x.done:
		if x.err != nil {
			return nil, x.err
		}
		return nil, errAgain
	case <-ctx.Done():
		return nil, &hub.UnavailableError{
			Reason:     "OriginSlow",
			Message:    "the stream is there, but did not come in time; try again",
			RetryAfter: 2 * time.Second,
		}
	}
	if s, err := x.finder.opt.Hub.Find(ctx, x.key); err == nil {
		return s, nil
	}
	return nil, errAgain
}

// run is the life of the fetch. There is one attempt, and beside it for a moment the one that takes its place: the hub
// lets the newer publisher replace the older when it has something to publish, so readers are never without.
func (x *fetch) run(ctx context.Context) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	var now, next *attempt
	defer func() {
		cancel()
		for _, a := range []*attempt{now, next} {
			if a != nil {
				<-a.result //nolint:errcheck // it was told to end
			}
		}
	}()
	tick := time.NewTicker(lookEvery)
	defer tick.Stop()
	for {
		now, next = x.start(ctx, now, next)
		if now == nil && x.lost() {
			return
		}
		select {
		case <-ctx.Done():
			return
		case err := <-results(now):
			over := x.ended(now, err, next != nil)
			now = nil
			if over {
				return
			}
			if next != nil {
				now, next = next, nil
				x.from.Store(now.origin.Hello.Pod)
			}
		case err := <-results(next):
			x.ended(next, err, true)
			next = nil
		case <-x.wake:
		case <-tick.C:
			if x.playable() {
				tick.Reset(checkEvery)
			}
			if x.idle() {
				return
			}
		}
	}
}

func results(a *attempt) <-chan error {
	if a == nil {
		return nil
	}
	return a.result
}

// start begins to pull when nothing is pulled, or a better origin is there.
func (x *fetch) start(ctx context.Context, now, next *attempt) (*attempt, *attempt) {
	if next != nil {
		return now, next
	}
	at := time.Now()
	o, err := x.finder.choose(x.key, func(o announce.Origin) bool {
		f := x.failures[o.Peer.RTSP]
		return f != nil && at.Before(f.until)
	})
	if err != nil {
		return now, nil
	}
	if now == nil {
		x.from.Store(o.Hello.Pod)
		return x.attempt(ctx, o), nil
	}
	if !better(now.origin, o, x.finder.opt.Mirror.Origins(ID(x.key))) {
		return now, nil
	}
	x.finder.metrics.switches.Inc()
	x.finder.opt.Log.V(1).
		Info("Going to another origin", "stream", x.key.String(), "from", now.origin.Hello.Pod, "to", o.Hello.Pod)
	return now, x.attempt(ctx, o)
}

func (x *fetch) attempt(ctx context.Context, o announce.Origin) *attempt {
	ctx, cancel := context.WithCancel(ctx)
	a := &attempt{origin: o, cancel: cancel, began: time.Now(), result: make(chan error, 1)}
	scheme := "rtsps://"
	if x.finder.opt.TLS == nil {
		scheme = "rtsp://"
	}
	x.finder.metrics.pulls.Inc()
	client := &pull.Client{
		URL: scheme + o.Peer.RTSP + pull.Path(
			x.key,
		), TLSConfig: x.finder.opt.TLS, Hub: x.finder.opt.Hub, Key: x.key, Timeout: fetchTimeout,
		Publisher: hub.Publisher{
			Remote:  o.Stream.Remote,
			Domain:  o.Stream.PushDomain,
			Replace: true,
			Yields:  o.Stream.Template != "",
		},
		Told: o.Stream.Facts, Log: x.finder.opt.Log,
	}
	go func() {
		defer cancel()
		a.result <- client.Run(ctx)
	}()
	return a
}

// ended takes the end of an attempt and reports whether the fetch is over with it. beside says that another attempt
// goes on.
func (x *fetch) ended(a *attempt, err error, beside bool) bool {
	a.cancel()
	switch {
	case err == nil:
		x.finder.metrics.ended.WithLabelValues("stream ended").Inc()
		return !beside
	case errors.Is(err, hub.ErrReplaced):
		x.finder.metrics.ended.WithLabelValues("replaced").Inc()
		return false
	case errors.Is(err, hub.ErrClosed), errors.Is(err, hub.ErrIdle):
		return true
	case errors.Is(err, pull.ErrBroken):
		x.finder.metrics.ended.WithLabelValues("broken").Inc()
	default:
		x.finder.metrics.ended.WithLabelValues("failed").Inc()
	}
	x.finder.opt.Log.V(1).
		Info("Fetching a stream was interrupted", "stream", x.key.String(), "from", a.origin.Hello.Pod, "error", err.Error())
	if later, ok := errors.AsType[*hub.UnavailableError](err); ok && !x.played {
		x.refused = later
	}
	f := x.failures[a.origin.Peer.RTSP]
	if f == nil || time.Since(a.began) > againMost {
		f = &failure{pause: againFirst / 2}
		x.failures[a.origin.Peer.RTSP] = f
	}
	f.pause = min(2*f.pause, againMost)
	f.until = time.Now().Add(f.pause)
	return false
}

// lost tells, while nothing is pulled, whether the stream is to be given up: the hub does not hold it any more, or it
// never came and there is no hope that it will.
func (x *fetch) lost() bool {
	if x.finder.opt.Hub.Lookup(x.key) != nil {
		return false // held for a new origin
	}
	if x.played {
		return true
	}
	if _, err := x.finder.choose(x.key, nothing); err != nil {
		x.err = err
		return true
	}
	rendition := len(x.finder.opt.Mirror.Origins(ID(x.key))) == 0
	switch {
	case rendition && x.refused != nil: // by each transcoder that could be asked
		x.err = x.refused
		return true
	case time.Since(x.began) > fetchTimeout:
		x.err = &hub.UnavailableError{
			Reason:     "OriginUnreachable",
			Message:    "the pod that has the stream does not answer; try again",
			RetryAfter: 2 * time.Second,
		}
		return true
	}
	return false
}

// playable notes the moment from which on the stream can be played.
func (x *fetch) playable() bool {
	if x.played {
		return true
	}
	if _, err := x.finder.opt.Hub.Find(context.Background(), x.key); err != nil {
		return false
	}
	x.played, x.err = true, nil
	close(x.ready)
	return true
}

// idle ends the stream when it has had no reader for some time, or never came to be read.
func (x *fetch) idle() bool {
	s := x.finder.opt.Hub.Lookup(x.key)
	return s != nil && s.FinishIdle(x.finder.opt.Linger)
}
