package relay

import (
	"errors"
	"net/netip"
	"sync"
)

// Refusals of a new session.
var (
	errFull     = errors.New("the relay has no room for more viewers; try again later, or add relays")
	errClosing  = errors.New("the relay is shutting down; join another one")
	errHalfOpen = errors.New("too many sessions of this address have not connected yet; try again in a moment")
)

// sessions finds a session by what a packet or a request shows of it.
type sessions struct {
	max, maxHalfOpen int

	mu       sync.RWMutex
	closing  bool
	byUfrag  map[string]*session
	byID     map[string]*session
	byAddr   map[netip.AddrPort]*session
	halfOpen map[netip.Addr]int // by client
	viewers  map[string]int     // by play domain
}

func newSessions(most, halfOpen int) *sessions {
	return &sessions{
		max: most, maxHalfOpen: halfOpen, byUfrag: map[string]*session{}, byID: map[string]*session{},
		byAddr: map[netip.AddrPort]*session{}, halfOpen: map[netip.Addr]int{}, viewers: map[string]int{},
	}
}

// add takes a session in unless a limit is reached. limit is the play domain's own; 0 means none.
func (t *sessions) add(s *session, limit int) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	switch {
	case t.closing:
		return errClosing
	case len(t.byID) >= t.max:
		return errFull
	case limit > 0 && t.viewers[s.right.Host] >= limit:
		return errFull
	case t.halfOpen[countedAs(s.right.RemoteIP)] >= t.maxHalfOpen:
		return errHalfOpen
	}
	t.byID[s.id], t.byUfrag[s.ufrag] = s, s
	t.halfOpen[countedAs(s.right.RemoteIP)]++
	s.halfOpen = true
	t.viewers[s.right.Host]++
	return nil
}

// close takes no more sessions in and lists those that are there.
func (t *sessions) close() []*session {
	t.mu.Lock()
	t.closing = true
	t.mu.Unlock()
	return t.all()
}

// countedAs is what counts as one client: an IPv4 address, or the /64 that an IPv6 subscriber has (RFC 6177, 2).
func countedAs(a netip.Addr) netip.Addr {
	if a.Is4() || a.Is4In6() {
		return a.Unmap()
	}
	p, err := a.WithZone("").Prefix(64)
	if err != nil {
		return a
	}
	return p.Addr()
}

// connected says that a session is not half-open any more.
func (t *sessions) connected(s *session) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.release(s)
}

func (t *sessions) release(s *session) {
	if !s.halfOpen {
		return
	}
	s.halfOpen = false
	from := countedAs(s.right.RemoteIP)
	if t.halfOpen[from]--; t.halfOpen[from] <= 0 {
		delete(t.halfOpen, from)
	}
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
	t.release(s)
	delete(t.byID, s.id)
	delete(t.byUfrag, s.ufrag)
	for _, a := range s.addrs {
		if t.byAddr[a] == s {
			delete(t.byAddr, a)
		}
	}
	if t.viewers[s.right.Host]--; t.viewers[s.right.Host] <= 0 {
		delete(t.viewers, s.right.Host)
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
