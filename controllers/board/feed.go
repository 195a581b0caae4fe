package board

import (
	"context"
	"sync"

	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/util/workqueue"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"
	"sigs.k8s.io/controller-runtime/pkg/source"
)

// Feed is a source of a controller that others fill: names go straight into the controller's queue, which keeps each
// once.
type Feed struct {
	mu      sync.Mutex
	queue   workqueue.TypedRateLimitingInterface[reconcile.Request]
	waiting map[reconcile.Request]bool // before the controller runs
}

// NewFeed makes a Feed. Add works from the start.
func NewFeed() *Feed { return &Feed{waiting: map[reconcile.Request]bool{}} }

// Add makes the controller look at an object.
func (f *Feed) Add(namespace, name string) {
	request := reconcile.Request{NamespacedName: types.NamespacedName{Namespace: namespace, Name: name}}
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.queue == nil {
		f.waiting[request] = true
		return
	}
	f.queue.Add(request)
}

// Source for a controller's WatchesRawSource.
func (f *Feed) Source() source.Source {
	return source.Func(func(_ context.Context, queue workqueue.TypedRateLimitingInterface[reconcile.Request]) error {
		f.mu.Lock()
		defer f.mu.Unlock()
		f.queue = queue
		for request := range f.waiting {
			queue.Add(request)
		}
		f.waiting = nil
		return nil
	})
}
