package relay

import (
	"net/netip"
	"slices"
)

// unproven is a UDP address that checks of a session came from, and that has not answered us yet. Whose it is shows
// when it answers; until then, what it sends of DTLS waits.
type unproven struct {
	session *session // the last one whose checks came from there
	records [][]byte
}

// Bounds of what waits. Beyond them a viewer has to send its ClientHello again.
const (
	maxUnproven = 4096 // addresses
	maxHeld     = 2    // datagrams of one: a ClientHello may come in two
	maxHello    = 1500 // bytes of one
)

// claim notes that checks of a session come from an address that has not answered it.
func (t *sessions) claim(s *session, addr netip.AddrPort) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.byID[s.id] != s || t.byAddr[addr] == s {
		return
	}
	u := t.unproven[addr]
	if u == nil {
		if len(t.unproven) >= maxUnproven {
			return
		}
		u = &unproven{}
		t.unproven[addr] = u
	}
	u.session = s
	t.note(s, addr)
}

// hold keeps a DTLS record of an address until it has answered, and returns the session whose checks came from there;
// nil when there is none, and then nothing is kept.
func (t *sessions) hold(addr netip.AddrPort, record []byte) *session {
	t.mu.RLock()
	known := t.unproven[addr] != nil
	t.mu.RUnlock()
	if !known {
		return nil
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	u := t.unproven[addr]
	if u == nil {
		return nil
	}
	if len(u.records) < maxHeld && len(record) <= maxHello {
		u.records = append(u.records, slices.Clone(record))
	}
	return u.session
}

// bind ties an address to the session that it has answered, whoever had it before, and returns what was held of it.
func (t *sessions) bind(s *session, addr netip.AddrPort) (held [][]byte) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.byID[s.id] != s {
		return nil
	}
	if u := t.unproven[addr]; u != nil {
		held = u.records
		delete(t.unproven, addr)
	}
	t.byAddr[addr] = s
	t.note(s, addr)
	return held
}

func (t *sessions) note(s *session, addr netip.AddrPort) {
	if !slices.Contains(s.addrs, addr) {
		s.addrs = append(s.addrs, addr)
	}
}

// forget unties an address that a session does not use any more.
func (t *sessions) forget(s *session, addr netip.AddrPort) {
	t.mu.Lock()
	defer t.mu.Unlock()
	s.addrs = slices.DeleteFunc(s.addrs, func(a netip.AddrPort) bool { return a == addr })
	t.unbind(s, addr)
}

func (t *sessions) unbind(s *session, addr netip.AddrPort) {
	if t.byAddr[addr] == s {
		delete(t.byAddr, addr)
	}
	if u := t.unproven[addr]; u != nil && u.session == s {
		delete(t.unproven, addr)
	}
}
