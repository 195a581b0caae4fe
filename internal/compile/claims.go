package compile

import (
	"fmt"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/millrace/millrace/api/v1alpha1"
)

func claims(objects []v1alpha1.DomainClaim) map[string]*v1alpha1.DomainClaim {
	out := map[string]*v1alpha1.DomainClaim{}
	for i := range objects {
		out[objects[i].Name] = &objects[i]
	}
	return out
}

// claimVerdict says which domain a claim is bound to.
func (c *compiler) claimVerdict(claim *v1alpha1.DomainClaim) Verdict {
	v := Verdict{Kind: v1alpha1.KindDomainClaim, Name: claim.Name, Hostname: claim.Name}
	v.conclude("The claim can be used", "")
	bound := Condition{Type: v1alpha1.ConditionBound, Status: metav1.ConditionFalse, Reason: v1alpha1.ReasonUnbound,
		Message: fmt.Sprintf("No domain of namespace %s uses the hostname yet", claim.Spec.Namespace)}
	if owner := c.owners[claim.Name]; owner != nil {
		v.Owner = fmt.Sprintf("%s %s/%s", owner.kind(), owner.meta.Namespace, owner.meta.Name)
		bound.Status, bound.Reason, bound.Message = metav1.ConditionTrue, v1alpha1.ReasonBound, "The hostname belongs to "+
			v.Owner
	} else if r := claim.Spec.ClaimRef; r != nil && !c.exists(r) {
		bound.Reason, bound.Message = v1alpha1.ReasonOwnerGone, "The owner does not exist any more: the operator releases "+
			"the hostname"
	}
	v.Conditions = append(v.Conditions, bound)
	v.Reason, v.Message = bound.Reason, bound.Message
	return v
}

func (c *compiler) exists(r *v1alpha1.ClaimReference) bool {
	at := ref{r.Namespace, r.Name}
	d := c.play[at]
	if r.Kind == v1alpha1.KindPushDomain {
		d = c.push[at]
	}
	return d != nil && isOwner(r, d)
}
