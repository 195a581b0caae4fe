package relay

import (
	"math/rand/v2"
	"slices"
	"time"

	"github.com/millrace/millrace/dataplane/relay/ice"
)

// A check with the right password says who sends it, not from where: its source may be forged. So before media or a
// DTLS record goes to a UDP address, that address has answered a binding request of ours, whose transaction id nobody
// else can know. Who is there consents to what comes (RFC 7675), and is asked again now and then. An agent that is lite
// makes no connectivity checks (RFC 8445, 2.5); this is none, for nothing is chosen by it.

// Bounds of the ways to one viewer.
const (
	maxPairs    = 32                    // its own addresses, as seen by each of ours
	amplify     = 3                     // bytes sent for each that came, until an address has answered (RFC 9000, 8.1)
	maxCredit   = 4096                  // bytes that may be saved up so
	askPause    = 20 * time.Millisecond // between two requests to an address that has not answered
	consentLoss = 6                     // requests in a row that may be lost (RFC 7675, 5.1: one every 5 s, for 30 s)
)

// pair is a UDP way to a viewer: one of our sockets and an address of the viewer.
type pair struct {
	path      path
	nominated bool      // by the viewer (RFC 8445, 7.3.1.5)
	seen      time.Time // when the last check came
	answered  time.Time // when our last request was answered
	next      time.Time // before which it is not asked again
	open      bool      // a request has not been answered yet
	random    uint64    // of the transaction id of that request
	credit    int       // bytes that may go there while it has not answered
}

// lasts reports whether the pair has answered, not too long ago.
func (s *session) lasts(p *pair, now time.Time) bool {
	return now.Sub(p.answered) <= s.relay.opt.SilenceTimeout
}

// proven reports whether the viewer consents to what goes to a path. mu is held.
func (s *session) proven(at path) bool {
	p := s.pair(at)
	return at.tcp != nil || p != nil && s.lasts(p, time.Now())
}

// pair returns the pair of a path, nil if there is none. mu is held.
func (s *session) pair(at path) *pair {
	for _, p := range s.pairs {
		if p.path == at {
			return p
		}
	}
	return nil
}

// handleSTUN takes a check or an answer of the player, a datagram of size bytes. It reports whether the password was
// right.
func (s *session) handleSTUN(m *stunPacket, from path, size int) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	right := false
	switch {
	case s.closed || !s.relay.allows(s.right, from.remote.Addr()):
	case m.isAnswer:
		right = s.answered(&m.answer, from)
	case s.auth.Verify(&m.check):
		right = true
		s.checked(&m.check, from, size)
	}
	if !right {
		s.relay.metrics.stunRefused.Inc()
	}
	return right
}

// checked answers a connectivity or consent check of the player, and asks back when that is due. mu is held.
func (s *session) checked(r *ice.Request, from path, size int) {
	s.touch()
	if from.tcp != nil { // its handshake has proved the address
		s.stun = s.auth.AppendSuccess(s.stun[:0], r, from.remote)
		from.send(s.stun)
		s.nominate(from, r.UseCandidate)
		return
	}
	now := time.Now()
	p := s.pair(from)
	if p == nil {
		p = s.addPair(from, now)
	}
	p.seen = now
	p.nominated = p.nominated || r.UseCandidate
	p.came(size)
	s.ask(p, now) // first: so its answer comes before the ClientHello that our answer brings
	s.stun = s.auth.AppendSuccess(s.stun[:0], r, from.remote)
	s.sendTo(p, now)
	if s.lasts(p, now) {
		s.nominate(from, r.UseCandidate)
	}
}

// addPair begins to know a path; the one that was silent for longest gives way when there are too many. mu is held.
func (s *session) addPair(at path, now time.Time) *pair {
	if len(s.pairs) >= maxPairs {
		oldest := -1
		for i, p := range s.pairs {
			if p.path != s.path && (oldest < 0 || p.seen.Before(s.pairs[oldest].seen)) {
				oldest = i
			}
		}
		gone := s.pairs[oldest].path.remote
		s.pairs = slices.Delete(s.pairs, oldest, oldest+1)
		if !slices.ContainsFunc(s.pairs, func(p *pair) bool { return p.path.remote == gone }) {
			s.relay.sessions.forget(s, gone)
		}
	}
	p := &pair{path: at, seen: now}
	s.pairs = append(s.pairs, p)
	s.relay.sessions.claim(s, at.remote)
	return p
}

// came counts a datagram of so many bytes from an address that may not have answered yet.
func (p *pair) came(size int) { p.credit = min(p.credit+amplify*size, maxCredit) }

// ask sends a binding request when one is due. A request that was not answered is sent again with the id that it had
// until the pair has answered at all (RFC 8489, 6.2.1); consent is asked for anew each time (RFC 7675, 5.1). mu is
// held.
func (s *session) ask(p *pair, now time.Time) {
	if now.Before(p.next) || s.closed {
		return
	}
	every := askPause
	if s.lasts(p, now) {
		every = time.Duration((0.8 + 0.4*rand.Float64()) * float64(s.relay.opt.SilenceTimeout) / consentLoss)
		p.open = false
	}
	p.next = now.Add(every)
	if !p.open {
		p.open, p.random = true, rand.Uint64()
	}
	s.stun = s.asking.AppendRequest(s.stun[:0], &ice.Ours{
		RemoteUfrag: s.remoteUfrag, LocalUfrag: s.ufrag, Tag: s.tag, Random: p.random,
	})
	s.sendTo(p, now)
}

// sendTo sends the STUN message of the session to a pair, unless that has not answered and too much went there. mu is
// held.
func (s *session) sendTo(p *pair, now time.Time) {
	if !s.lasts(p, now) {
		if p.credit < len(s.stun) {
			return
		}
		p.credit -= len(s.stun)
	}
	p.path.send(s.stun)
}

// answered takes the player's answer to a request of ours, which proves that it is where that went. It reports whether
// the answer is right. mu is held.
func (s *session) answered(r *ice.Answer, from path) bool {
	p := s.pair(from)
	if p == nil || !p.open || p.random != r.Random || !s.asking.VerifyAnswer(r) {
		return false
	}
	now := time.Now()
	first := !s.lasts(p, now)
	p.answered, p.open, p.credit = now, false, 0
	s.touch()
	if !first {
		return true
	}
	held := s.relay.sessions.bind(s, from.remote)
	s.nominate(from, p.nominated)
	for _, record := range held {
		s.takeDTLS(record, from)
	}
	return true
}

// handleUnproven notes that a DTLS record came from an address of the player that has not answered: our request, or the
// answer, may be lost.
func (s *session) handleUnproven(b []byte, from path) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if p := s.pair(from); p != nil {
		p.came(len(b))
		s.ask(p, time.Now())
	}
}

// renew asks for consent where that is due, and reports whether the viewer has given none for too long at the address
// that media goes to. The sweep calls it.
func (s *session) renew(now time.Time) (lost bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, p := range s.pairs {
		switch {
		case p.path == s.path:
			if !s.lasts(p, now) {
				lost = true
				continue
			}
		case s.lasts(p, now):
			continue // it is asked when a check comes
		}
		s.ask(p, now)
	}
	return lost
}
