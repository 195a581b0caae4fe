package status

import (
	"time"

	"github.com/millrace/millrace/api/v1alpha1"
	"github.com/millrace/millrace/internal/compile"
)

// DomainAssociation computes the status of an association, and when to look again. Its configuration is in force where
// that of its child is.
func DomainAssociation(
	o *v1alpha1.DomainAssociation,
	v *compile.Verdict,
	s Serving,
	now time.Time,
) (v1alpha1.DomainAssociationStatus, time.Duration) {
	b := begin(o.Status.Conditions, o.Generation, now)
	b.verdict(v)
	b.programmed(v, s)
	wait := b.conclude(nil, whole()...)
	return v1alpha1.DomainAssociationStatus{
		ObservedGeneration: o.Generation, Conditions: b.conditions, Child: v.Child, Main: v.Main,
	}, wait
}
