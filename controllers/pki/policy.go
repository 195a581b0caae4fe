package pki

import (
	"crypto/x509"
	"time"
)

// Policy says how long things of a CA are good.
type Policy struct {
	// Name is the beginning of the common name of each CA.
	Name string
	// CA is the life of a CA; the next one is made when two thirds of it are over.
	CA time.Duration
	// Leaf is the life of what it signs.
	Leaf time.Duration
	// Overlap is how long a new CA is in the bundle before it signs: everybody must have read the bundle by then.
	Overlap time.Duration
}

// Step is what Advance did.
type Step string

// The steps of a rotation.
const (
	StepNone    Step = ""
	StepCreate  Step = "Created a CA"
	StepReplace Step = "Replaced a CA that had expired"
	StepPublish Step = "Published the next CA"
	StepPromote Step = "The next CA signs from now on"
	StepForget  Step = "Removed CAs whose last leaves have expired"
)

// Advance takes a state one step further, when one is due.
//
//	none -> create
//	two thirds of the life are over, or a person asked for it -> publish the next
//	the next was published long enough ago -> it signs, the one before stays in the bundle
//	all leaves of the one before have expired -> it leaves the bundle
func (p Policy) Advance(s State, now time.Time, rotate bool) (State, Step, error) {
	switch {
	case s.Current == nil:
		ca, err := newCA(p.Name, p.CA, now)
		return State{Current: ca}, StepCreate, err
	case !now.Before(s.Current.Cert.NotAfter):
		// Nothing that it signed is good any more, so there is nothing to overlap with.
		ca, err := newCA(p.Name, p.CA, now)
		return State{Current: ca}, StepReplace, err
	case s.Next != nil && !now.Before(s.NextSince.Add(p.Overlap)):
		s.Old = append([]*x509.Certificate{s.Current.Cert}, s.Old...)
		s.Current, s.Next, s.NextSince, s.OldSince = s.Next, nil, time.Time{}, now
		return s, StepPromote, nil
	case s.Next == nil && (rotate || !now.Before(renewAt(s.Current.Cert))):
		ca, err := newCA(p.Name, p.CA, now)
		s.Next, s.NextSince = ca, now
		return s, StepPublish, err
	case len(s.Old) > 0 && !now.Before(s.OldSince.Add(p.Leaf)):
		s.Old, s.OldSince = nil, time.Time{}
		return s, StepForget, nil
	}
	return s, StepNone, nil
}
