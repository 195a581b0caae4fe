package lean

import (
	"encoding/binary"
	"net/netip"
	"time"

	"github.com/pion/stun/v4"
)

// When checks are sent: often until one is answered, then now and then for consent (RFC 7675, section 5.1).
const (
	checkEvery   = 50 * time.Millisecond
	consentEvery = 5 * time.Second
	consentLost  = 30 * time.Second
	maxChecks    = 256 // unanswered checks that are remembered
)

// hostPriority is that of a host candidate's peer-reflexive view (RFC 8445, section 5.1.2.1).
const hostPriority = 110<<24 | 65535<<8 | 255

// iceAgent is the controlling side for one socket. Its owner guards it.
type iceAgent struct {
	local, remote credentials
	tieBreaker    uint64
	checks        map[[stun.TransactionIDSize]byte]netip.AddrPort
	selected      netip.AddrPort
	lastSent      time.Time
	lastHeard     time.Time
}

// check makes a connectivity check that nominates the pair at once (RFC 8445, section 8.1.1 allows it towards a lite
// agent, and full agents take it as well).
func (a *iceAgent) check(to netip.AddrPort) ([]byte, error) {
	priority := binary.BigEndian.AppendUint32(nil, hostPriority)
	message, err := stun.Build(stun.BindingRequest, stun.TransactionID,
		stun.NewUsername(a.remote.ufrag+":"+a.local.ufrag),
		stun.RawAttribute{Type: stun.AttrICEControlling, Value: binary.BigEndian.AppendUint64(nil, a.tieBreaker)},
		stun.RawAttribute{Type: stun.AttrPriority, Value: priority},
		stun.RawAttribute{Type: stun.AttrUseCandidate},
		stun.NewShortTermIntegrity(a.remote.password), stun.Fingerprint)
	if err != nil {
		return nil, err
	}
	if len(a.checks) >= maxChecks {
		clear(a.checks)
	}
	a.checks[message.TransactionID] = to
	return message.Raw, nil
}

// handle takes a STUN message in. It gives the reply that is due, if any, and whether this message selected the pair.
func (a *iceAgent) handle(d datagram) (reply []byte, selected bool) {
	var message stun.Message
	if stun.Decode(d.data, &message) != nil || stun.Fingerprint.Check(&message) != nil {
		return nil, false
	}
	switch message.Type {
	case stun.BindingSuccess:
		to, known := a.checks[message.TransactionID]
		if !known || stun.NewShortTermIntegrity(a.remote.password).Check(&message) != nil {
			return nil, false
		}
		delete(a.checks, message.TransactionID)
		a.lastHeard = time.Now()
		if a.selected.IsValid() {
			return nil, false
		}
		a.selected = to
		return nil, true
	case stun.BindingRequest:
		// A full agent checks this side as well.
		if stun.NewShortTermIntegrity(a.local.password).Check(&message) != nil {
			return nil, false
		}
		from := d.from
		if a.selected.IsValid() {
			from = a.selected
		}
		answer, err := stun.Build(&message, stun.BindingSuccess,
			&stun.XORMappedAddress{IP: from.Addr().AsSlice(), Port: int(from.Port())},
			stun.NewShortTermIntegrity(a.local.password), stun.Fingerprint)
		if err != nil {
			return nil, false
		}
		return answer.Raw, false
	}
	return nil, false
}

// due reports whether a consent check has to be sent now, and whether consent is lost.
func (a *iceAgent) due(now time.Time) (send, lost bool) {
	if !a.selected.IsValid() {
		return false, false
	}
	return now.Sub(a.lastSent) >= consentEvery, now.Sub(a.lastHeard) > consentLost
}
