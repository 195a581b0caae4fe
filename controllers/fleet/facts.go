package fleet

import (
	"context"
	"fmt"
	"reflect"

	corev1 "k8s.io/api/core/v1"
	toolscache "k8s.io/client-go/tools/cache"
	"sigs.k8s.io/controller-runtime/pkg/cache"

	"github.com/millrace/millrace/api/v1alpha1"
)

// Facts are what the controllers of classes and Plans found about a pool.
type Facts struct {
	// Visited is false until the class of the pool was looked at for the first time.
	Visited bool
	// Exists reports whether the pool has its objects.
	Exists bool
	// Desired number of pods.
	Desired int32
	// Reason and Message of what keeps the pool from having pods, and of what keeps its Plan from being delivered; empty:
	// nothing.
	Reason, PlanReason   v1alpha1.Reason
	Message, PlanMessage string
	// Endpoints that clients may connect to.
	Endpoints []v1alpha1.Endpoint
}

// Facts of a pool.
func (f *Fleet) Facts(k PoolKey) Facts {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.pool(k).facts
}

// UpdateFacts changes the facts of a pool.
func (f *Fleet) UpdateFacts(k PoolKey, change func(*Facts)) {
	f.mu.Lock()
	p := f.pool(k)
	next := p.facts
	change(&next)
	differs := !reflect.DeepEqual(next, p.facts)
	p.facts = next
	f.mu.Unlock()
	if differs {
		f.kick()
	}
}

// DroppedEverywhere reports whether no pod of any pool serves a part any more.
func (f *Fleet) DroppedEverywhere(entry string) bool {
	f.mu.Lock()
	keys := make([]PoolKey, 0, len(f.pools))
	for k := range f.pools {
		keys = append(keys, k)
	}
	f.mu.Unlock()
	for _, k := range keys {
		if !f.Dropped(k, entry) {
			return false
		}
	}
	return true
}

// Nodes returns the addresses of all nodes.
func (f *Fleet) Nodes() map[string]Node {
	f.mu.Lock()
	defer f.mu.Unlock()
	out := make(map[string]Node, len(f.nodes))
	for name, n := range f.nodes {
		out[name] = n
	}
	return out
}

func (f *Fleet) setNode(name string, n Node) {
	f.mu.Lock()
	old, known := f.nodes[name]
	f.nodes[name] = n
	f.mu.Unlock()
	if !known || !old.equal(n) {
		f.kick()
	}
}

// WatchNodes follows the nodes in a cache. A node that goes keeps its addresses: they may be asked for once more, and
// never harm.
func (f *Fleet) WatchNodes(ctx context.Context, c cache.Cache) error {
	informer, err := c.GetInformer(ctx, &corev1.Node{})
	if err != nil {
		return fmt.Errorf("watch nodes: %w", err)
	}
	set := func(o any) {
		if node, ok := o.(*corev1.Node); ok {
			f.setNode(node.Name, NodeOf(node))
		}
	}
	_, err = informer.AddEventHandler(
		toolscache.ResourceEventHandlerFuncs{AddFunc: set, UpdateFunc: func(_, o any) { set(o) }},
	)
	if err != nil {
		return fmt.Errorf("watch nodes: %w", err)
	}
	return nil
}
