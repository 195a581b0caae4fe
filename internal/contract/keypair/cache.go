package keypair

import (
	"crypto/sha256"
	"encoding/binary"
	"sync"
)

// digest names a content: equal chains and keys have equal digests.
type digest [sha256.Size]byte

func digestOf(chain, key []byte) digest {
	h := sha256.New()
	var length [8]byte
	binary.BigEndian.PutUint64(length[:], uint64(len(chain)))
	h.Write(length[:])
	h.Write(chain)
	h.Write(key)
	return digest(h.Sum(nil))
}

// Cache keeps what was made of contents, so that each is parsed once. T is what a caller keeps of a Pair. It is safe
// for concurrent use; contents are parsed outside of its lock, each by one caller while others of the same content
// wait.
type Cache[T any] struct {
	make func(chain, key []byte) (T, error)

	mu      sync.Mutex
	entries map[digest]*entry[T]
}

type entry[T any] struct {
	once  sync.Once
	value T
	err   error
	used  bool // since the last Sweep
}

// NewCache makes a Cache whose values come from a pure function.
func NewCache[T any](make func(chain, key []byte) (T, error)) *Cache[T] {
	return &Cache[T]{make: make, entries: map[digest]*entry[T]{}}
}

// Get returns the value of a content, or the error that its first use gave.
func (c *Cache[T]) Get(chain, key []byte) (T, error) {
	at := digestOf(chain, key)
	c.mu.Lock()
	e := c.entries[at]
	if e == nil {
		e = &entry[T]{}
		c.entries[at] = e
	}
	e.used = true
	c.mu.Unlock()
	e.once.Do(func() { e.value, e.err = c.make(chain, key) })
	return e.value, e.err
}

// Sweep forgets the contents that were not used since the last Sweep.
func (c *Cache[T]) Sweep() {
	c.mu.Lock()
	defer c.mu.Unlock()
	for at, e := range c.entries {
		if !e.used {
			delete(c.entries, at)
			continue
		}
		e.used = false
	}
}
