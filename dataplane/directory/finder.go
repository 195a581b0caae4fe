// Package directory finds which pod has a stream, by what all pods announce, and fetches the stream from there for
// those who play it. There is no registry: each pod asks the others.
package directory

import (
	"context"
	"crypto/tls"
	"errors"
	"slices"
	"sync"
	"time"

	"github.com/go-logr/logr"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/millrace/millrace/dataplane/announce"
	"github.com/millrace/millrace/dataplane/hub"
	"github.com/millrace/millrace/internal/contract"
	"github.com/millrace/millrace/internal/contract/plan"
)

// FinderOptions make a Finder. Hub, Plan and Mirror are needed; zero values take the defaults.
type FinderOptions struct {
	Hub     *hub.Hub // that streams are fetched into
	Plan    *plan.Current
	Mirror  *announce.Mirror
	TLS     *tls.Config // to the origins; nil: plain RTSP, which only tests do
	Log     logr.Logger
	Metrics prometheus.Registerer

	// fetch renditions too, and ask transcoders for those that nobody has; a transcoder makes its own
	Renditions bool
	Linger     time.Duration // how long a stream is fetched on after its last reader; default 10 s
	MaxStreams int           // fetched at once; default 4096
	// that a new process waits for its peers to be heard before it says that there is no stream; default 3 s
	SyncTime time.Duration
}

// Finder fetches streams from where they are published, once for all who ask. It is safe for concurrent use.
type Finder struct {
	opt     FinderOptions
	metrics *metrics
	ctx     context.Context //nolint:containedctx // the life of the fetches
	cancel  context.CancelFunc
	running sync.WaitGroup

	mu      sync.Mutex
	fetches map[hub.Key]*fetch
}

// NewFinder makes a Finder. Its Mirror must have no peers yet.
func NewFinder(opt FinderOptions) (*Finder, error) {
	if opt.Linger <= 0 {
		opt.Linger = 10 * time.Second
	}
	if opt.MaxStreams <= 0 {
		opt.MaxStreams = 4096
	}
	if opt.SyncTime <= 0 {
		opt.SyncTime = 3 * time.Second
	}
	f := &Finder{opt: opt, fetches: map[hub.Key]*fetch{}}
	m, err := newMetrics(opt.Metrics, f)
	if err != nil {
		return nil, err
	}
	f.metrics = m
	f.ctx, f.cancel = context.WithCancel(context.Background())
	opt.Mirror.Subscribe(f.poke)
	return f, nil
}

// Close ends all fetches; their streams are held by the hub.
func (f *Finder) Close() {
	f.cancel()
	f.running.Wait()
}

// ID is the announced name of a stream.
func ID(key hub.Key) announce.ID { return announce.ID{Space: key.Space, App: key.App, Name: key.Name} }

// Key is the hub's name of an announced stream.
func Key(id announce.ID) hub.Key { return hub.Key{Space: id.Space, App: id.App, Name: id.Name} }

// Find returns a stream from the hub, and fetches it before when it is published elsewhere, or a transcoder can make
// it.
func (f *Finder) Find(ctx context.Context, key hub.Key) (*hub.Stream, error) {
	for {
		one, s, err := f.join(key)
		if err != nil || s != nil {
			if errors.Is(err, hub.ErrNotFound) && f.wait(ctx, key) {
				continue
			}
			return s, err
		}
		s, err = one.wait(ctx)
		if errors.Is(err, errAgain) && ctx.Err() == nil {
			continue
		}
		return s, err
	}
}

// join returns the stream when it can be played now, or the fetch that brings it.
func (f *Finder) join(key hub.Key) (*fetch, *hub.Stream, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	one := f.fetches[key]
	s, err := f.opt.Hub.Find(context.Background(), key)
	if err == nil && (one != nil || s.Live()) {
		return nil, s, nil
	}
	if one != nil {
		return one, nil, nil
	}
	if _, err := f.choose(key, nothing); err != nil {
		return nil, nil, err
	}
	if len(f.fetches) >= f.opt.MaxStreams {
		return nil, nil, &hub.UnavailableError{
			Reason:     "TooManyStreams",
			Message:    "this pod fetches as many streams as it may; try again later, or add pods",
			RetryAfter: 5 * time.Second,
		}
	}
	if f.ctx.Err() != nil {
		return nil, nil, hub.ErrNotFound
	}
	one = newFetch(f, key)
	f.fetches[key] = one
	f.running.Go(func() {
		one.run(f.ctx)
		f.mu.Lock()
		delete(f.fetches, key)
		f.mu.Unlock()
		close(one.done)
	})
	return one, nil, nil
}

// wait returns peers that were not heard yet a moment to be; true when it is worth looking again.
func (f *Finder) wait(ctx context.Context, key hub.Key) bool {
	if f.opt.Mirror.Settled() {
		return false
	}
	ctx, cancel := context.WithTimeout(ctx, f.opt.SyncTime)
	defer cancel()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return false
		case <-tick.C:
		}
		if _, err := f.choose(key, nothing); err == nil || f.opt.Mirror.Settled() {
			return err == nil
		}
	}
}

func nothing(announce.Origin) bool { return false }

// choose returns the pod to fetch a stream from: the best of those that have it, else a transcoder that can make it. A
// name is that of a rendition only when no stream has it.
func (f *Finder) choose(key hub.Key, excluded func(announce.Origin) bool) (announce.Origin, error) {
	have := f.opt.Mirror.Origins(ID(key))
	if !f.opt.Renditions {
		have = slices.DeleteFunc(have, func(o announce.Origin) bool { return o.Stream.Template != "" })
	}
	o, ok := best(have, excluded)
	if ok && leaving(o) && f.opt.Renditions { // another one makes it while this one still has it
		if other, err := f.transcoder(key, excluded); err == nil {
			return other, nil
		}
	}
	if ok {
		return o, nil
	}
	if len(have) > 0 && have[0].Stream.Template == "" || !f.opt.Renditions {
		return announce.Origin{}, hub.ErrNotFound
	}
	return f.transcoder(key, excluded)
}

// transcoder returns the pod that can make a rendition.
func (f *Finder) transcoder(key hub.Key, excluded func(announce.Origin) bool) (announce.Origin, error) {
	source, template := f.opt.Plan.Load().SplitTemplate(key.Space, key.App, key.Name)
	if template == nil || len(f.opt.Mirror.Origins(announce.ID{Space: key.Space, App: key.App, Name: source})) == 0 {
		return announce.Origin{}, hub.ErrNotFound
	}
	transcoders := f.opt.Mirror.Pods(contract.Transcoder)
	for _, p := range roomy(transcoders, key.String()) {
		o := announce.Origin{
			Pod:    p,
			Stream: announce.Stream{ID: ID(key), State: announce.Live, Of: source, Template: template.ID},
		}
		if !excluded(o) {
			return o, nil
		}
	}
	if len(transcoders) == 0 {
		return announce.Origin{}, &hub.UnavailableError{
			Reason:     "NoTranscoder",
			Message:    "no transcoder is there that could make this rendition; try again in a moment, or play the source",
			RetryAfter: 3 * time.Second,
		}
	}
	return announce.Origin{}, &hub.UnavailableError{
		Reason:     "TranscodersFull",
		Message:    "all transcoders are busy; try again later, or play the source",
		RetryAfter: 5 * time.Second,
	}
}

// poke has the fetches of streams look again.
func (f *Finder) poke(ids []announce.ID) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, id := range ids {
		if one := f.fetches[Key(id)]; one != nil {
			one.poke()
		}
	}
}

// FetchState is a fetch as /state shows it.
type FetchState struct {
	Stream string `json:"stream"`
	From   string `json:"from"` // pod; empty while there is none
}

// Fetches lists the fetches.
func (f *Finder) Fetches() []FetchState {
	f.mu.Lock()
	defer f.mu.Unlock()
	out := make([]FetchState, 0, len(f.fetches))
	for key, one := range f.fetches {
		from, _ := one.from.Load().(string)
		out = append(out, FetchState{Stream: key.String(), From: from})
	}
	return out
}
