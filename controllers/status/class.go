package status

import (
	"fmt"
	"strings"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/millrace/millrace/api/v1alpha1"
	"github.com/millrace/millrace/internal/compile"
)

// MediaClass computes the status of a class from its pools and what keeps it from having them, and when to look again.
func MediaClass(
	o *v1alpha1.MediaClass,
	v *compile.Verdict,
	image string,
	pools []v1alpha1.PoolStatus,
	problem *Problem,
	known bool,
	now time.Time,
) (v1alpha1.MediaClassStatus, time.Duration) {
	b := begin(o.Status.Conditions, o.Generation, now)
	b.verdict(v)
	var unready, behind []string
	for i := range pools {
		p := &pools[i]
		if p.Ready < p.Desired || p.Ready == 0 && p.Desired > 0 {
			unready = append(unready, fmt.Sprintf("%s: %d of %d ready", p.Role, p.Ready, p.Desired))
		}
		if p.Programmed < p.Ready {
			behind = append(behind, fmt.Sprintf("%s: %d of %d", p.Role, p.Programmed, p.Ready))
		}
	}
	const t = v1alpha1.ConditionProgrammed
	switch {
	case !v.Accepted:
		b.set(t, metav1.ConditionFalse, v1alpha1.ReasonNotAccepted, "The class cannot be used: see Accepted")
	case problem != nil:
		b.set(t, metav1.ConditionFalse, problem.Reason, problem.Message)
	case len(pools) == 0:
		b.set(t, metav1.ConditionTrue, v1alpha1.ReasonIdle, "No accepted object needs pods of this class")
	case !known:
		if was := b.get(t); was.Status == metav1.ConditionUnknown || was.ObservedGeneration != b.generation {
			b.set(t, metav1.ConditionUnknown, v1alpha1.ReasonPending, "The pods have not been heard yet")
		}
	case len(behind) > 0:
		b.set(
			t,
			metav1.ConditionFalse,
			v1alpha1.ReasonPlanOnItsWay,
			"Pods that run on the newest plan: "+strings.Join(behind, ", "),
		)
	default:
		b.set(t, metav1.ConditionTrue, v1alpha1.ReasonProgrammed, "All ready pods run on the newest plan")
	}
	wait := b.ready(v, problem, unready)
	return v1alpha1.MediaClassStatus{
		ObservedGeneration: o.Generation,
		Conditions:         b.conditions,
		Image:              image,
		Pools:              pools,
	}, wait
}

// ready reports whether the pools have their pods. Plans on their way do not count: they are on their way all day.
func (b *builder) ready(v *compile.Verdict, problem *Problem, unready []string) time.Duration {
	const t = v1alpha1.ConditionReady
	switch {
	case !v.Accepted:
		b.set(t, metav1.ConditionFalse, v.Reason, v.Message)
		return b.kstatus(true)
	case problem != nil:
		b.set(t, metav1.ConditionFalse, problem.Reason, problem.Message)
		return b.kstatus(problem.Reason == v1alpha1.ReasonNoImage || problem.Reason == v1alpha1.ReasonPlanTooLarge)
	case len(unready) > 0:
		b.set(t, metav1.ConditionFalse, v1alpha1.ReasonWaitingForPods, strings.Join(unready, ", "))
	default:
		b.set(t, metav1.ConditionTrue, v1alpha1.ReasonReady, "All pools that are needed have their pods")
	}
	return b.kstatus(false)
}
