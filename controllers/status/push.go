package status

import (
	"time"

	"github.com/millrace/millrace/api/v1alpha1"
	"github.com/millrace/millrace/internal/compile"
)

// PushDomain computes the status of a push domain, and when to look again.
func PushDomain(
	o *v1alpha1.PushDomain,
	v *compile.Verdict,
	s Serving,
	live int,
	now time.Time,
) (v1alpha1.PushDomainStatus, time.Duration) {
	b := begin(o.Status.Conditions, o.Generation, now)
	b.verdict(v)
	b.programmed(v, s)
	lacks := offline(o.Spec.State)
	if v.Accepted && v.Main == "" && lacks == nil {
		lacks = &lack{
			v1alpha1.ReasonNotAssociated,
			"No DomainAssociation of type PushToPlay names this domain, so there is no play domain for its streams: create one",
		}
	}
	wait := b.conclude(lacks, whole()...)
	out := v1alpha1.PushDomainStatus{
		ObservedGeneration: o.Generation,
		Conditions:         b.conditions,
		MainPlayDomain:     v.Main,
		Streams:            v1alpha1.StreamCounts{Live: int32(live)},
	}
	if v.Accepted {
		out.Endpoints = s.Endpoints
	}
	return out, wait
}
