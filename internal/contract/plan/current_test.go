package plan

import (
	"slices"
	"sync"
	"testing"
)

func TestCurrentTellsSubscribersInOrder(t *testing.T) {
	c := NewCurrent()
	if c.Load() == nil || c.Load().Push("push.example.com") != nil {
		t.Fatal("a new Current should have an empty index")
	}
	var calls []string
	first := c.Subscribe(func(old, new *Index) {
		if c.Load() != new {
			t.Error("Load returns the old index inside a subscriber")
		}
		calls = append(calls, "first "+old.Plan.Class+">"+new.Plan.Class)
	})
	c.Subscribe(func(old, new *Index) { calls = append(calls, "second "+old.Plan.Class+">"+new.Plan.Class) })
	c.Store(NewIndex(&Plan{Class: "a"}))
	first()
	first() // twice is harmless
	c.Store(NewIndex(&Plan{Class: "b"}))
	if want := []string{"first >a", "second >a", "second a>b"}; !slices.Equal(calls, want) {
		t.Errorf("calls %q, want %q", calls, want)
	}
}

func TestCurrentUnderConcurrency(t *testing.T) {
	c := NewCurrent()
	var mu sync.Mutex
	var last *Index
	c.Subscribe(func(old, new *Index) {
		mu.Lock()
		defer mu.Unlock()
		if last != nil && last != old {
			t.Error("a subscriber missed an index, or saw them out of order")
		}
		last = new
	})
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for range 50 {
				unsubscribe := c.Subscribe(func(_, _ *Index) {})
				c.Store(NewIndex(samplePlan()))
				_ = c.Load().Push("push.example.com").Hostname
				unsubscribe()
			}
		})
	}
	wg.Wait()
	if c.Load() != last {
		t.Error("the last index that subscribers saw is not the one that holds")
	}
}
