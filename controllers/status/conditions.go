// Package status says what stands in the status of each kind: pure functions of an object, the verdict on it and what
// its pods do. Each kind has one file. All kinds have their conditions from here, so that kstatus, kubectl wait, Flux
// and Argo CD judge them alike.
package status

import (
	"fmt"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/millrace/millrace/api/v1alpha1"
	"github.com/millrace/millrace/internal/compile"
)

// Grace is how long a mistake of the user may last before the object counts as stalled: what it lacks may be on its
// way, in the next file.
const Grace = 10 * time.Second

// maxMessage bounds a message: the API server takes 32 KiB.
const maxMessage = 1024

// Serving is what the pods that serve an object do.
type Serving struct {
	// Done of Of ready pods run on the object's configuration.
	Done, Of int
	// Known is false while the pods have not been asked.
	Known bool
	// Problem that keeps the pool from having pods, if there is one.
	Problem *Problem
	// Endpoints that clients may connect to.
	Endpoints []v1alpha1.Endpoint
}

// Problem of a pool.
type Problem struct {
	Reason  v1alpha1.Reason
	Message string
}

// lack is why an object that is in order is not ready: the user has not finished, or does not want it.
type lack struct {
	reason  v1alpha1.Reason
	message string
}

// builder collects the conditions of one object.
type builder struct {
	conditions []metav1.Condition
	generation int64
	now        time.Time
}

// begin keeps the conditions that there are, for their times.
func begin(old []metav1.Condition, generation int64, now time.Time) *builder {
	b := &builder{generation: generation, now: now}
	b.conditions = append(b.conditions, old...)
	return b
}

func (b *builder) set(conditionType string, status metav1.ConditionStatus, reason v1alpha1.Reason, message string) {
	if len(message) > maxMessage {
		message = message[:maxMessage-3] + "..."
	}
	meta.SetStatusCondition(&b.conditions, metav1.Condition{
		Type: conditionType, Status: status, Reason: string(reason), Message: message,
		ObservedGeneration: b.generation, LastTransitionTime: metav1.NewTime(b.now.Truncate(time.Second)),
	})
}

func (b *builder) get(conditionType string) metav1.Condition {
	if c := meta.FindStatusCondition(b.conditions, conditionType); c != nil {
		return *c
	}
	return metav1.Condition{Type: conditionType, Status: metav1.ConditionUnknown}
}

// verdict takes over what compile decided.
func (b *builder) verdict(v *compile.Verdict) {
	for _, c := range v.Conditions {
		b.set(c.Type, c.Status, c.Reason, c.Message)
	}
	if v.Condition(v1alpha1.ConditionServed) == nil {
		meta.RemoveStatusCondition(&b.conditions, v1alpha1.ConditionServed)
	}
}

// programmed reports whether the pods run on it.
func (b *builder) programmed(v *compile.Verdict, s Serving) {
	const t = v1alpha1.ConditionProgrammed
	switch {
	case !v.Accepted:
		b.set(
			t,
			metav1.ConditionFalse,
			v1alpha1.ReasonNotAccepted,
			"The object takes no part in the configuration: see Accepted",
		)
	case s.Problem != nil:
		b.set(t, metav1.ConditionFalse, s.Problem.Reason, s.Problem.Message)
	case !s.Known:
		// Nothing has been heard of the pods yet, which says nothing about them: what was said before stands, for the same
		// spec.
		if was := b.get(t); was.Status == metav1.ConditionUnknown || was.ObservedGeneration != b.generation {
			b.set(t, metav1.ConditionUnknown, v1alpha1.ReasonPending, "The pods have not been heard yet")
		}
	case s.Of == 0:
		b.set(t, metav1.ConditionFalse, v1alpha1.ReasonWaitingForPods, "No pod that serves this is ready yet")
	case s.Done < s.Of:
		b.set(
			t,
			metav1.ConditionFalse,
			v1alpha1.ReasonPlanOnItsWay,
			fmt.Sprintf("%d of %d pods run on this configuration", s.Done, s.Of),
		)
	default:
		b.set(t, metav1.ConditionTrue, v1alpha1.ReasonProgrammed, "All ready pods run on this configuration")
	}
}

// conclude sets Ready from a short list of others, and what kstatus looks at: Stalled when only the user can help,
// Reconciling while there is something to wait for. It gives the time after which the object has to be looked at again;
// 0: none.
func (b *builder) conclude(lacks *lack, need ...string) time.Duration {
	missing := metav1.Condition{}
	for _, t := range need {
		if c := b.get(t); c.Status != metav1.ConditionTrue {
			missing = c
			break
		}
	}
	mistake := false
	switch {
	case missing.Type != "" && missing.Type != v1alpha1.ConditionProgrammed && missing.Type != v1alpha1.ConditionBound:
		b.set(v1alpha1.ConditionReady, metav1.ConditionFalse, v1alpha1.Reason(missing.Reason), missing.Message)
		mistake = !transient(v1alpha1.Reason(missing.Reason))
	case lacks != nil:
		b.set(v1alpha1.ConditionReady, metav1.ConditionFalse, lacks.reason, lacks.message)
		mistake = true
	case missing.Type != "":
		b.set(v1alpha1.ConditionReady, metav1.ConditionFalse, v1alpha1.Reason(missing.Reason), missing.Message)
		mistake = missing.Reason == string(v1alpha1.ReasonNoReplicas) || missing.Reason == string(v1alpha1.ReasonNoImage) ||
			missing.Reason == string(v1alpha1.ReasonPlanTooLarge)
	default:
		b.set(v1alpha1.ConditionReady, metav1.ConditionTrue, v1alpha1.ReasonReady, "Clients can use it now")
	}
	return b.kstatus(mistake)
}

// transient reasons go away by themselves.
func transient(r v1alpha1.Reason) bool {
	return r == v1alpha1.ReasonPending || r == v1alpha1.ReasonTerminating
}

func (b *builder) kstatus(mistake bool) time.Duration {
	ready := b.get(v1alpha1.ConditionReady)
	wait := time.Duration(0)
	stalled := false
	if mistake {
		wait = max(ready.LastTransitionTime.Add(Grace).Sub(b.now), 0)
		stalled = wait == 0
	}
	if stalled {
		b.set(v1alpha1.ConditionStalled, metav1.ConditionTrue, v1alpha1.Reason(ready.Reason), ready.Message)
	} else {
		meta.RemoveStatusCondition(&b.conditions, v1alpha1.ConditionStalled)
	}
	if ready.Status != metav1.ConditionTrue && !stalled {
		b.set(v1alpha1.ConditionReconciling, metav1.ConditionTrue, v1alpha1.Reason(ready.Reason), ready.Message)
	} else {
		meta.RemoveStatusCondition(&b.conditions, v1alpha1.ConditionReconciling)
	}
	return wait
}

// whole is what every kind of tenants needs to be ready.
func whole() []string {
	return []string{v1alpha1.ConditionAccepted, v1alpha1.ConditionResolvedRefs, v1alpha1.ConditionProgrammed}
}

func offline(state v1alpha1.State) *lack {
	if state != v1alpha1.Offline {
		return nil
	}
	return &lack{v1alpha1.ReasonOffline, "spec.state is Offline: nobody is served until it is Online"}
}
