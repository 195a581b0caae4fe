package plan

import (
	"sync"
	"sync/atomic"
)

// Current holds the Plan that a process runs on. It is made by NewCurrent and safe for concurrent use.
type Current struct {
	index atomic.Pointer[Index]

	storing     sync.Mutex // one Store at a time, so that all see the same order
	mu          sync.Mutex
	subscribers map[int]func(old, new *Index)
	order       []int
	next        int
}

// NewCurrent starts with a Plan that has nothing.
func NewCurrent() *Current {
	c := &Current{subscribers: map[int]func(old, new *Index){}}
	c.index.Store(NewIndex(&Plan{}))
	return c
}

// Load returns the index of the Plan that holds now; never nil.
func (c *Current) Load() *Index { return c.index.Load() }

// Store makes a Plan the one that holds, then calls all subscribers, in the order in which they came, before it
// returns. A subscriber must not call Store.
func (c *Current) Store(x *Index) {
	c.storing.Lock()
	defer c.storing.Unlock()
	old := c.index.Swap(x)
	for _, call := range c.calls() {
		call(old, x)
	}
}

func (c *Current) calls() []func(old, new *Index) {
	c.mu.Lock()
	defer c.mu.Unlock()
	var out []func(old, new *Index)
	for _, id := range c.order {
		if call := c.subscribers[id]; call != nil {
			out = append(out, call)
		}
	}
	return out
}

// Subscribe has a function called on each Store, with the index before and after. After unsubscribe returns, a Store
// that begins later does not call it.
func (c *Current) Subscribe(call func(old, new *Index)) (unsubscribe func()) {
	c.mu.Lock()
	defer c.mu.Unlock()
	id := c.next
	c.next++
	c.subscribers[id] = call
	c.order = append(c.order, id)
	return func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		delete(c.subscribers, id)
		for i, other := range c.order {
			if other == id {
				c.order = append(c.order[:i:i], c.order[i+1:]...)
				break
			}
		}
	}
}
