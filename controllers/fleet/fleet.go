package fleet

import (
	"context"
	"maps"
	"sync"
	"time"

	"github.com/millrace/millrace/internal/contract"
	"github.com/millrace/millrace/internal/contract/plan"
)

// pastPlans is the number of Plans of a pool that are remembered, to know what a pod runs on that is behind.
const pastPlans = 32

// Options of a Fleet.
type Options struct {
	Observer Observer
	// Quiet is how long changes have to stop for before they are told.
	Quiet time.Duration
	// Now is the clock; nil: time.Now.
	Now func() time.Time
	// OnPool is told a pool of which other pods are ready, heard, or draining; OnEntry one part of its Plan that runs on
	// more or fewer pods, or whose counts differ; OnLoad a pool with a new Plan, with pods that took it over, or of which
	// some pods have many more or fewer sessions.
	OnPool  func(PoolKey)
	OnEntry func(PoolKey, string)
	OnLoad  func(PoolKey)
}

// Fleet is the state of all pools.
type Fleet struct {
	opt   Options
	kicks chan struct{}

	mu    sync.Mutex
	pods  map[string]Pod
	pools map[PoolKey]*pool
	nodes map[string]Node
}

// pool is what is known of one pool.
type pool struct {
	facts   Facts
	wanted  entries // of the Plan that the pods should run on
	past    []record
	told    string         // the last state that OnPool was told
	load    string         // the last load that OnLoad was told
	pending map[string]int // parts that some pods lack, as last told
	counts  map[string]Counts
}

// record is a Plan that was delivered.
type record struct {
	hash    string
	entries entries
}

// New makes a Fleet.
func New(opt Options) *Fleet {
	if opt.Now == nil {
		opt.Now = time.Now
	}
	return &Fleet{
		opt:   opt,
		kicks: make(chan struct{}, 1),
		pods:  map[string]Pod{},
		pools: map[PoolKey]*pool{},
		nodes: map[string]Node{},
	}
}

// Observer that the fleet listens with.
func (f *Fleet) Observer() Observer { return f.opt.Observer }

func (f *Fleet) kick() {
	select {
	case f.kicks <- struct{}{}:
	default:
	}
}

func (f *Fleet) pool(k PoolKey) *pool {
	p := f.pools[k]
	if p == nil {
		p = &pool{}
		f.pools[k] = p
	}
	return p
}

// Expect takes the Plans of all classes that pods should run on from now. It is called before anybody is told of the
// decisions that the Plans follow from, so nothing counts as programmed that is not.
func (f *Fleet) Expect(plans map[string]*plan.Plan) {
	next := map[PoolKey]entries{}
	for class, p := range plans {
		for _, role := range contract.Roles() {
			next[PoolKey{class, role}] = entriesOf(ForRole(p, role))
		}
	}
	f.mu.Lock()
	for k, e := range next {
		f.pool(k).wanted = e
	}
	for k, p := range f.pools {
		if next[k] == nil {
			p.wanted = entries{}
		}
	}
	f.mu.Unlock()
	f.kick()
}

// Delivered notes a Plan that was written for a pool, under its hash.
func (f *Fleet) Delivered(k PoolKey, hash string, p *plan.Plan) {
	e := entriesOf(p)
	f.mu.Lock()
	pool := f.pool(k)
	kept := pool.past[:0]
	for _, r := range pool.past {
		if r.hash != hash {
			kept = append(kept, r)
		}
	}
	pool.past = append(kept, record{hash, e})
	if n := len(pool.past) - pastPlans; n > 0 {
		pool.past = append([]record(nil), pool.past[n:]...)
	}
	f.mu.Unlock()
	f.kick()
}

func (p *pool) record(hash string) entries {
	for i := range p.past {
		if p.past[i].hash == hash {
			return p.past[i].entries
		}
	}
	return nil
}

// hash of the Plan that was delivered last; empty before the first.
func (p *pool) hash() string {
	if len(p.past) == 0 {
		return ""
	}
	return p.past[len(p.past)-1].hash
}

// SetPod notes a pod as it is now.
func (f *Fleet) SetPod(p Pod) {
	f.mu.Lock()
	f.pods[p.Name] = p
	f.mu.Unlock()
	f.kick()
}

// DropPod forgets a pod.
func (f *Fleet) DropPod(name string) {
	f.mu.Lock()
	delete(f.pods, name)
	f.mu.Unlock()
	f.kick()
}

// Start tells what changes until the context ends. Whatever looks at the clock is asked once a second too.
func (f *Fleet) Start(ctx context.Context) error {
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	changed := f.opt.Observer.Changed()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-f.kicks:
		case <-changed:
		case <-tick.C:
		}
		f.tell()
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(f.opt.Quiet):
		}
	}
}

// NeedLeaderElection says that only the leader tells.
func (f *Fleet) NeedLeaderElection() bool { return true }

// tell compares with what was told last.
func (f *Fleet) tell() {
	type entry struct {
		pool PoolKey
		name string
	}
	var pools, loads []PoolKey
	var parts []entry
	f.mu.Lock()
	for k, p := range f.pools {
		if state := f.state(k); state != p.told {
			p.told = state
			pools = append(pools, k)
		}
		if load := f.load(k); load != p.load {
			p.load = load
			loads = append(loads, k)
		}
		counts := f.counts(k)
		for name := range p.wanted {
			if p.counts[name] != counts[name] {
				parts = append(parts, entry{k, name})
			}
		}
		p.counts = counts
		pending := f.pending(k)
		for name, n := range pending {
			if p.pending[name] != n {
				parts = append(parts, entry{k, name})
			}
		}
		for name := range p.pending {
			if _, still := pending[name]; !still {
				parts = append(parts, entry{k, name})
			}
		}
		p.pending = maps.Clone(pending)
	}
	f.mu.Unlock()
	for _, k := range pools {
		f.opt.OnPool(k)
	}
	for _, k := range loads {
		f.opt.OnLoad(k)
	}
	for _, e := range parts {
		f.opt.OnEntry(e.pool, e.name)
	}
}
