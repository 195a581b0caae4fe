package relay

import (
	"math/rand/v2"
	"net/netip"
	"sync"
)

// sessions finds a session by what a packet or a request shows of it.
type sessions struct {
	mu       sync.RWMutex
	closing  bool
	byUfrag  map[string]*session
	byID     map[string]*session
	byTag    map[uint32]*session
	byAddr   map[netip.AddrPort]*session // by an address that has answered a request of the session
	unproven map[netip.AddrPort]*unproven
}

func newSessions() *sessions {
	return &sessions{
		byUfrag: map[string]*session{}, byID: map[string]*session{}, byTag: map[uint32]*session{},
		byAddr: map[netip.AddrPort]*session{}, unproven: map[netip.AddrPort]*unproven{},
	}
}

// add takes a session in; false when the relay closes.
func (t *sessions) add(s *session) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.closing {
		return false
	}
	s.tag = rand.Uint32()
	for t.byTag[s.tag] != nil {
		s.tag++
	}
	t.byID[s.id], t.byUfrag[s.ufrag], t.byTag[s.tag] = s, s, s
	return true
}

// close takes no more sessions in and lists those that are there.
func (t *sessions) close() []*session {
	t.mu.Lock()
	t.closing = true
	t.mu.Unlock()
	return t.all()
}

func (t *sessions) remove(s *session) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.byID[s.id] != s {
		return
	}
	delete(t.byID, s.id)
	delete(t.byUfrag, s.ufrag)
	delete(t.byTag, s.tag)
	for _, a := range s.addrs {
		t.unbind(s, a)
	}
}

func (t *sessions) ufrag(u []byte) *session {
	t.mu.RLock()
	defer t.mu.RUnlock()
	return t.byUfrag[string(u)]
}

func (t *sessions) tag(n uint32) *session {
	t.mu.RLock()
	defer t.mu.RUnlock()
	return t.byTag[n]
}

func (t *sessions) addr(a netip.AddrPort) *session {
	t.mu.RLock()
	defer t.mu.RUnlock()
	return t.byAddr[a]
}

func (t *sessions) id(id string) *session {
	t.mu.RLock()
	defer t.mu.RUnlock()
	return t.byID[id]
}

func (t *sessions) count() int {
	t.mu.RLock()
	defer t.mu.RUnlock()
	return len(t.byID)
}

func (t *sessions) all() []*session {
	t.mu.RLock()
	defer t.mu.RUnlock()
	out := make([]*session, 0, len(t.byID))
	for _, s := range t.byID {
		out = append(out, s)
	}
	return out
}
