// Package board is where all is decided: it compiles everything that the caches hold, once for a burst of changes, and
// keeps the verdict on each object for the reconcilers to read. So a change costs one pass over all objects, however
// many reconcilers it concerns.
package board

import (
	"context"
	"reflect"
	"sync"
	"sync/atomic"
	"time"

	"github.com/go-logr/logr"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/millrace/millrace/internal/compile"
	"github.com/millrace/millrace/internal/contract/plan"
)

// Key names an object.
type Key struct{ Kind, Namespace, Name string }

// Decision is what is decided about one state of one object.
type Decision struct {
	compile.Verdict
	UID        string
	Generation int64
	// Class that serves a domain; empty for other kinds.
	Class string
	// LeftOut says why an accepted domain or template is not in the Plan of its class: the Plan would be too large.
	LeftOut string
}

// Result is what one pass gave. It is never changed.
type Result struct {
	decisions map[Key]*Decision
	hosts     map[string]*Decision
	plans     map[string]*plan.Plan
	children  map[string][]Key // associations by the hostname of their child
	templates map[string][]Key // templates by the hostname of their main
}

// Decision on an object in the state that the caller sees; nil when that state, or a later one, is not decided about
// yet. The board tells the reconciler as soon as it is.
func (r *Result) Decision(kind string, o client.Object) *Decision {
	if r == nil {
		return nil
	}
	d := r.decisions[Key{kind, o.GetNamespace(), o.GetName()}]
	if d == nil || d.UID != string(o.GetUID()) || d.Generation < o.GetGeneration() {
		return nil
	}
	return d
}

// Domain is the accepted domain with a hostname; nil when there is none.
func (r *Result) Domain(hostname string) *Decision {
	if r == nil {
		return nil
	}
	return r.hosts[hostname]
}

// Find returns the decision on an object by its name; nil when there is none.
func (r *Result) Find(k Key) *Decision {
	if r == nil {
		return nil
	}
	return r.decisions[k]
}

// Associations whose child has a hostname.
func (r *Result) Associations(child string) []Key {
	if r == nil {
		return nil
	}
	return r.children[child]
}

// Templates of a main play domain.
func (r *Result) Templates(main string) []Key {
	if r == nil {
		return nil
	}
	return r.templates[main]
}

// Plan of a class; nil when the class is not accepted.
func (r *Result) Plan(class string) *plan.Plan {
	if r == nil {
		return nil
	}
	return r.plans[class]
}

// Each calls f with every decision, in no order.
func (r *Result) Each(f func(Key, *Decision)) {
	if r == nil {
		return
	}
	for k, d := range r.decisions {
		f(k, d)
	}
}

// Options of a Board.
type Options struct {
	// Cache holds all objects, and the metadata of Secrets.
	Cache cache.Cache
	// Live reads Secrets.
	Live client.Reader
	// Quiet is how long changes have to stop for before a pass; Most how long a pass waits at most.
	Quiet, Most time.Duration
	// Expect is told the Plans before the verdicts are published.
	Expect func(map[string]*plan.Plan)
	Log    logr.Logger
}

// Board keeps the newest Result. It runs in the leader only.
type Board struct {
	opt     Options
	kicks   chan struct{}
	result  atomic.Pointer[Result]
	secrets *secretStore
	pairs   *compile.Pairs
	passes  atomic.Int64

	mu    sync.Mutex
	feeds map[string][]*Feed // by kind
	plans []*Feed
}

// New makes a Board. Watch connects it to the caches, Start runs it.
func New(opt Options) *Board {
	return &Board{
		opt: opt, kicks: make(chan struct{}, 1), secrets: newSecretStore(opt.Live), pairs: compile.NewPairs(),
		feeds: map[string][]*Feed{},
	}
}

// Result of the newest pass; nil before the first.
func (b *Board) Result() *Result { return b.result.Load() }

// Passes is the number of passes so far.
func (b *Board) Passes() int64 { return b.passes.Load() }

// Kick asks for a pass.
func (b *Board) Kick() {
	select {
	case b.kicks <- struct{}{}:
	default:
	}
}

// Subscribe tells a feed the objects of a kind whenever the decision on them changes.
func (b *Board) Subscribe(kind string, f *Feed) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.feeds[kind] = append(b.feeds[kind], f)
}

// SubscribePlans tells a feed the names of classes whenever their Plan changes.
func (b *Board) SubscribePlans(f *Feed) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.plans = append(b.plans, f)
}

// NeedLeaderElection says that only the leader decides.
func (b *Board) NeedLeaderElection() bool { return true }

// Start makes a pass for each burst of changes until the context ends. The first waits until the caches hold
// everything: what is not there then does not exist.
func (b *Board) Start(ctx context.Context) error {
	if !b.opt.Cache.WaitForCacheSync(ctx) {
		return ctx.Err()
	}
	b.Kick()
	cost, ended := time.Duration(0), time.Time{}
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-b.kicks:
		}
		// Passes that take long are made less often, so that they never use more than a share of a core. A change after some
		// time without one is decided about at once.
		rested := time.Since(ended)
		if !b.settle(ctx, max(b.opt.Quiet, 2*cost-rested), max(b.opt.Most, 4*cost-rested)) {
			return nil
		}
		began := time.Now()
		if err := b.pass(ctx); err != nil {
			b.opt.Log.Error(err, "Deciding about all objects failed, trying again")
			time.AfterFunc(time.Second, b.Kick)
		}
		ended = time.Now()
		cost = ended.Sub(began)
		b.opt.Log.V(2).Info("Decided about all objects", "duration", cost)
	}
}

// settle waits until no kick came for a while; false when the context ended.
func (b *Board) settle(ctx context.Context, quiet, most time.Duration) bool {
	end := time.NewTimer(most)
	defer end.Stop()
	pause := time.NewTimer(quiet)
	defer pause.Stop()
	for {
		select {
		case <-ctx.Done():
			return false
		case <-end.C:
			return true
		case <-pause.C:
			return true
		case <-b.kicks:
			pause.Reset(quiet)
		}
	}
}

func (b *Board) pass(ctx context.Context) error {
	in, err := gather(ctx, b.opt.Cache)
	if err != nil {
		return err
	}
	secrets, err := b.secrets.fetch(ctx, b.opt.Cache, wantedSecrets(&in))
	if err != nil {
		// What could be read counts; the rest is asked for again.
		b.opt.Log.Error(err, "Reading Secrets failed, trying again")
		time.AfterFunc(time.Second, b.Kick)
	}
	in.Secrets, in.BoundOnly, in.Pairs = secrets, true, b.pairs
	next := resultOf(&in, compile.Compile(in))
	next.fit(&in)
	b.pairs.Sweep()
	if b.opt.Expect != nil {
		b.opt.Expect(next.plans)
	}
	old := b.result.Swap(next)
	b.passes.Add(1)
	b.tell(old, next)
	return nil
}

// tell feeds what differs between two results.
func (b *Board) tell(old, next *Result) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for k, d := range next.decisions {
		if was := old.Find(k); was == nil || !reflect.DeepEqual(was, d) {
			b.feed(k)
		}
	}
	old.Each(func(k Key, _ *Decision) {
		if next.decisions[k] == nil {
			b.feed(k)
		}
	})
	for class, p := range next.plans {
		if was := old.Plan(class); was == nil || !reflect.DeepEqual(was, p) {
			for _, f := range b.plans {
				f.Add("", class)
			}
		}
	}
}

func (b *Board) feed(k Key) {
	for _, f := range b.feeds[k.Kind] {
		f.Add(k.Namespace, k.Name)
	}
}
