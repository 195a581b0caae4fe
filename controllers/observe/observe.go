// Package observe listens to all media pods, for what the operator shows of them. Nothing of it is an input of the data
// plane: while nobody listens, only what is shown grows old.
package observe

import (
	"context"
	"crypto/tls"
	"maps"
	"sync"
	"time"

	"github.com/go-logr/logr"

	"github.com/millrace/millrace/dataplane/announce"
	"github.com/millrace/millrace/dataplane/media"
	"github.com/millrace/millrace/internal/contract"
)

// gather is how long changes are collected before they are told.
const gather = 250 * time.Millisecond

// Peers tells which pods there are, until its context ends; kube.Client does, without a region for all of them.
type Peers interface {
	WatchPeers(ctx context.Context, region string, roles []contract.Role, tell func([]announce.Peer))
}

// Options make an Observer.
type Options struct {
	TLS   *tls.Config // as which the operator goes to the pods
	Peers Peers
	Log   logr.Logger
}

// Observer listens to the media pods while it runs. It is safe for concurrent use.
type Observer struct {
	opt    Options
	mirror *announce.Mirror
	dirty  chan struct{}

	mu       sync.Mutex
	told     bool // which pods there are was told once
	snapshot *Snapshot
	watchers []chan struct{}
}

// New makes an Observer that listens to nobody until Start.
func New(opt Options) *Observer {
	o := &Observer{opt: opt, dirty: make(chan struct{}, 1), snapshot: build(nil)}
	o.mirror = announce.NewMirror(announce.MirrorOptions{TLS: opt.TLS, Log: opt.Log, Changed: o.mark})
	return o
}

func (o *Observer) mark() {
	select {
	case o.dirty <- struct{}{}:
	default:
	}
}

// NeedLeaderElection says that one replica listens, the leader.
func (o *Observer) NeedLeaderElection() bool { return true }

// Start listens until the context ends.
func (o *Observer) Start(ctx context.Context) error {
	defer o.mirror.Close()
	var wg sync.WaitGroup
	defer wg.Wait()
	wg.Go(func() {
		o.opt.Peers.WatchPeers(ctx, "", contract.Roles(), func(all []announce.Peer) {
			o.mirror.SetPeers(all)
			o.mu.Lock()
			o.told = true
			o.mu.Unlock()
			o.mark()
		})
	})
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-o.dirty:
		}
		o.refresh()
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(gather):
		}
	}
}

// refresh builds the snapshot anew and tells those who watch.
func (o *Observer) refresh() {
	next := build(o.mirror.Heard())
	o.mu.Lock()
	defer o.mu.Unlock()
	o.snapshot = next
	for _, w := range o.watchers {
		select {
		case w <- struct{}{}:
		default: // it has not taken the last one yet
		}
	}
}

// Synced reports whether every pod has been asked once; before that, nothing is said to be missing.
func (o *Observer) Synced() bool {
	o.mu.Lock()
	told := o.told
	o.mu.Unlock()
	return told && o.mirror.Settled()
}

// Changed returns a channel that gets a value after anything changed, at most some times a second.
func (o *Observer) Changed() <-chan struct{} {
	w := make(chan struct{}, 1)
	o.mu.Lock()
	defer o.mu.Unlock()
	o.watchers = append(o.watchers, w)
	return w
}

// Snapshot is what is known now. Nobody changes it.
func (o *Observer) Snapshot() *Snapshot {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.snapshot
}

// Snapshot is what all media pods say, put together.
type Snapshot struct {
	Pods      map[string]Pod             // by name
	Push      map[string]int             // live streams by push domain
	Play      map[string]announce.Domain // viewers and egress by play domain
	Templates map[Template]int           // renditions that are made, by template
	// sources; of one that two pods have, that of the pod that serves viewers
	Streams map[announce.ID]Stream
	Viewers map[announce.ID]map[string]int         // by stream, renditions too, and kind of player
	Made    map[announce.ID]map[string]media.Facts // renditions that are made, by source and id of their template
}

// Pod is a media pod.
type Pod struct {
	announce.Hello
	announce.Status
}

// Template names a template by the hostname of its main and its id.
type Template struct{ Space, ID string }

// Stream is a stream at the pod that has it.
type Stream struct {
	announce.Stream
	Pod string
}

// build puts together what the pods say.
func build(heard []*announce.Snapshot) *Snapshot {
	s := &Snapshot{
		Pods: map[string]Pod{}, Push: map[string]int{}, Play: map[string]announce.Domain{}, Templates: map[Template]int{},
		Streams: map[announce.ID]Stream{},
		Viewers: map[announce.ID]map[string]int{}, Made: map[announce.ID]map[string]media.Facts{},
	}
	named := map[string]announce.ID{}
	for _, p := range heard {
		s.Pods[p.Hello.Pod] = Pod{p.Hello, p.Status}
		for host, d := range p.Status.Domains {
			sum := s.Play[host]
			sum.Viewers += d.Viewers
			sum.EgressKbps += d.EgressKbps
			s.Play[host] = sum
		}
		for id, one := range p.Streams {
			named[id.String()] = id
			s.stream(p.Hello.Pod, one)
		}
	}
	for _, one := range s.Streams {
		if one.State == announce.Live {
			s.Push[one.PushDomain]++
		}
	}
	for _, p := range heard {
		for text, kinds := range p.Status.Viewers {
			if id, ok := named[text]; ok { // one that nobody has is about to end
				s.watch(id, kinds)
			}
		}
	}
	return s
}

// stream takes a stream of a pod.
func (s *Snapshot) stream(pod string, one announce.Stream) {
	if one.Template != "" {
		s.Templates[Template{one.Space, one.Template}]++
		source := announce.ID{Space: one.Space, App: one.App, Name: one.Of}
		if s.Made[source] == nil {
			s.Made[source] = map[string]media.Facts{}
		}
		s.Made[source][one.Template] = one.Facts
		return
	}
	was, ok := s.Streams[one.ID]
	live, wasLive := one.State == announce.Live, was.State == announce.Live
	if !ok || live && !wasLive || live == wasLive && one.Epoch > was.Epoch {
		s.Streams[one.ID] = Stream{one, pod}
	}
}

func (s *Snapshot) watch(id announce.ID, kinds map[string]int) {
	if s.Viewers[id] == nil {
		s.Viewers[id] = maps.Clone(kinds)
		return
	}
	for kind, n := range kinds {
		s.Viewers[id][kind] += n
	}
}
