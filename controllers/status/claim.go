package status

import (
	"time"

	"k8s.io/apimachinery/pkg/api/meta"

	"github.com/millrace/millrace/api/v1alpha1"
	"github.com/millrace/millrace/internal/compile"
)

// DomainClaim computes the status of a claim. A claim is no promise to be kept: it is whole when nobody uses it, too.
func DomainClaim(o *v1alpha1.DomainClaim, v *compile.Verdict, now time.Time) v1alpha1.DomainClaimStatus {
	b := begin(o.Status.Conditions, o.Generation, now)
	if c := v.Condition(v1alpha1.ConditionBound); c != nil {
		b.set(c.Type, c.Status, c.Reason, c.Message)
	}
	meta.RemoveStatusCondition(&b.conditions, v1alpha1.ConditionAccepted)
	return v1alpha1.DomainClaimStatus{ObservedGeneration: o.Generation, Conditions: b.conditions}
}
