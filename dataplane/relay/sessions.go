package relay

import (
	"net/netip"
	"sync"
)

// sessions finds a session by what a packet or a request shows of it.
type sessions struct {
	mu      sync.RWMutex
	closing bool
	byUfrag map[string]*session
	byID    map[string]*session
	byAddr  map[netip.AddrPort]*session
}

func newSessions() *sessions {
	return &sessions{
		byUfrag: map[string]*session{}, byID: map[string]*session{}, byAddr: map[netip.AddrPort]*session{},
	}
}

// add takes a session in; false when the relay closes.
func (t *sessions) add(s *session) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.closing {
		return false
	}
	t.byID[s.id], t.byUfrag[s.ufrag] = s, s
	return true
}

// close takes no more sessions in and lists those that are there.
func (t *sessions) close() []*session {
	t.mu.Lock()
	t.closing = true
	t.mu.Unlock()
	return t.all()
}

// bind ties an address to a session after a connectivity check that proved it.
func (t *sessions) bind(s *session, addr netip.AddrPort) {
	const most = 32 // addresses of one session: its own, as seen by each of ours
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.byID[s.id] != s || len(s.addrs) >= most || t.byAddr[addr] == s {
		return
	}
	t.byAddr[addr] = s
	s.addrs = append(s.addrs, addr)
}

func (t *sessions) remove(s *session) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.byID[s.id] != s {
		return
	}
	delete(t.byID, s.id)
	delete(t.byUfrag, s.ufrag)
	for _, a := range s.addrs {
		if t.byAddr[a] == s {
			delete(t.byAddr, a)
		}
	}
}

func (t *sessions) ufrag(u []byte) *session {
	t.mu.RLock()
	defer t.mu.RUnlock()
	return t.byUfrag[string(u)]
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
