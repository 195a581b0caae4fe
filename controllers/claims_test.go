package controllers_test

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/millrace/millrace/api/v1alpha1"
	"github.com/millrace/millrace/internal/testkit"
)

func accepted(o client.Object) (metav1.Condition, bool) {
	for _, c := range conditionsOf(o) {
		if c.Type == v1alpha1.ConditionAccepted && c.ObservedGeneration == o.GetGeneration() {
			return c, c.Status == metav1.ConditionTrue
		}
	}
	return metav1.Condition{}, false
}

// contenders reads all domains of a hostname until each has a verdict, and gives the winner.
func (w *world) contenders(domains []client.Object) (winner client.Object) {
	w.t.Helper()
	testkit.Succeeds(w.t, func() error {
		winner = nil
		for _, o := range domains {
			if err := w.get(o); err != nil {
				return err
			}
			c, ok := accepted(o)
			switch {
			case c.Type == "" || c.Status == metav1.ConditionUnknown:
				return fmt.Errorf("%s/%s has no verdict yet", o.GetNamespace(), o.GetName())
			case ok && winner != nil:
				w.t.Fatalf("two have it: %s/%s and %s/%s", winner.GetNamespace(), winner.GetName(), o.GetNamespace(), o.GetName())
			case ok:
				winner = o
			case c.Reason != string(v1alpha1.ReasonHostnameConflict):
				return fmt.Errorf("%s/%s: %s: %s", o.GetNamespace(), o.GetName(), c.Reason, c.Message)
			}
		}
		if winner == nil {
			return fmt.Errorf("nobody has it")
		}
		return nil
	})
	return winner
}

// TestTwoTenantsRaceForAHostname is the promise of this name, without webhooks: 100 at once in 10 namespaces, push and
// play mixed.
func TestTwoTenantsRaceForAHostname(t *testing.T) {
	rounds := 20
	if testing.Short() {
		rounds = 3
	}
	w := start(t, nil)
	var namespaces []string
	for range 10 {
		namespaces = append(namespaces, server.Namespace(t, nil))
	}
	var slowest time.Duration
	for round := range rounds {
		hostname := fmt.Sprintf("race%d.example.com", round)
		var domains []client.Object
		for i := range 100 {
			ns, name := namespaces[i%10], fmt.Sprintf("race%d-%d", round, i)
			if i%2 == 0 {
				domains = append(domains, w.push(ns, name, hostname))
			} else {
				domains = append(domains, w.play(ns, name, hostname, v1alpha1.PlayRTS))
			}
		}
		var wg sync.WaitGroup
		for _, o := range domains {
			wg.Go(func() {
				if err := w.client.Create(context.Background(), o); err != nil {
					t.Errorf("creating %s: %v", o.GetName(), err)
				}
			})
		}
		wg.Wait()
		winner := w.contenders(domains)
		for _, o := range domains {
			if c, ok := accepted(o); !ok && o.GetNamespace() != winner.GetNamespace() &&
				(strings.Contains(c.Message, winner.GetNamespace()) || strings.Contains(c.Message, winner.GetName())) {
				t.Errorf("a loser is told who won: %q", c.Message)
			}
		}
		var losers []client.Object
		for _, o := range domains {
			if o != winner {
				losers = append(losers, o)
			}
		}
		began := time.Now()
		if err := w.client.Delete(t.Context(), winner); err != nil {
			t.Fatal(err)
		}
		next := w.contenders(losers)
		slowest = max(slowest, time.Since(began))
		var claim v1alpha1.DomainClaim
		if err := w.client.Get(t.Context(), client.ObjectKey{Name: hostname}, &claim); err != nil ||
			claim.Spec.ClaimRef == nil ||
			claim.Spec.ClaimRef.UID != string(next.GetUID()) {
			t.Errorf("the claim does not name the one who has it: %+v, %v", claim.Spec, err)
		}
		for _, o := range losers {
			wg.Go(func() { w.remove(o) })
		}
		wg.Wait()
	}
	t.Logf(
		"%d rounds of 100; a loser had the hostname at most %s after the winner was deleted",
		rounds,
		slowest.Round(time.Millisecond),
	)
}

func TestAClaimGoesWithItsDomain(t *testing.T) {
	w := start(t, nil)
	ns := server.Namespace(t, nil)
	push := w.push(ns, "push", "goes.example.com")
	w.create(push)
	w.accepted(push)
	claim := &v1alpha1.DomainClaim{ObjectMeta: metav1.ObjectMeta{Name: "goes.example.com"}}
	w.wants(claim, v1alpha1.ConditionBound, metav1.ConditionTrue, v1alpha1.ReasonBound)
	if err := w.client.Delete(t.Context(), push); err != nil {
		t.Fatal(err)
	}
	testkit.Succeeds(t, func() error {
		if err := w.get(claim); !apierrors.IsNotFound(err) {
			return fmt.Errorf("the claim is still there: %w", err)
		}
		if err := w.get(push); !apierrors.IsNotFound(err) {
			return fmt.Errorf("the domain is still there: %w", err)
		}
		return nil
	})
}

// TestAStaleClaimIsReleased: the owner went without its finalizer being heeded, and came again under the same name.
func TestAStaleClaimIsReleased(t *testing.T) {
	w := start(t, nil)
	ns := server.Namespace(t, nil)
	push := w.push(ns, "push", "stale.example.com")
	w.create(push)
	w.accepted(push)
	w.stop()
	old := push.GetUID()
	w.get(push)
	push.Finalizers = nil
	if err := w.client.Update(t.Context(), push); err != nil {
		t.Fatal(err)
	}
	if err := w.client.Delete(t.Context(), push); err != nil {
		t.Fatal(err)
	}
	again := w.push(ns, "push", "stale.example.com")
	w.create(again)
	w.run()
	w.accepted(again)
	if again.GetUID() == old {
		t.Error("the domain is the old one")
	}
}

func TestAnAdminsClaimIsUsedAndKept(t *testing.T) {
	w := start(t, nil)
	ns, other := server.Namespace(t, nil), server.Namespace(t, nil)
	claim := &v1alpha1.DomainClaim{
		ObjectMeta: metav1.ObjectMeta{Name: "ahead.example.com"},
		Spec:       v1alpha1.DomainClaimSpec{Namespace: ns},
	}
	w.create(claim)
	stranger := w.push(other, "push", "ahead.example.com")
	w.create(stranger)
	w.wants(stranger, v1alpha1.ConditionAccepted, metav1.ConditionFalse, v1alpha1.ReasonHostnameConflict)
	push := w.push(ns, "push", "ahead.example.com")
	w.create(push)
	w.accepted(push)
	if err := w.client.Delete(t.Context(), push); err != nil {
		t.Fatal(err)
	}
	testkit.Succeeds(t, func() error {
		if err := w.get(claim); err != nil {
			return err
		}
		if claim.Spec.ClaimRef != nil {
			return fmt.Errorf("the claim still names %+v", claim.Spec.ClaimRef)
		}
		return nil
	})
	w.wants(stranger, v1alpha1.ConditionAccepted, metav1.ConditionFalse, v1alpha1.ReasonHostnameConflict)
}

// TestARejectedAssociationReservesNothing: an association binds its child before its main is there. When the main makes
// it wrong, another one gets the child, although the first is still there.
func TestARejectedAssociationReservesNothing(t *testing.T) {
	w := start(t, nil)
	ns := server.Namespace(t, nil)
	far := &v1alpha1.MediaClass{
		ObjectMeta: metav1.ObjectMeta{Name: w.class + "-far"},
		Spec:       v1alpha1.MediaClassSpec{Region: "far"},
	}
	w.create(
		far,
		w.push(ns, "push", "push.reserves.example.com"),
		w.play(ns, "good", "good.reserves.example.com", v1alpha1.PlayStandard),
	)
	first := feeds(ns, "first", "push", "later")
	w.create(first)
	claim := &v1alpha1.DomainClaim{ObjectMeta: metav1.ObjectMeta{Name: "push.reserves.example.com"}}
	bound := func(by string) {
		t.Helper()
		testkit.Succeeds(t, func() error {
			if err := w.get(claim); err != nil {
				return err
			}
			if is := claim.Spec.AssociationRef; is == nil || is.Name != by {
				return fmt.Errorf("the claim names %v, want %s", is, by)
			}
			return nil
		})
	}
	bound("first")
	later := w.play(ns, "later", "later.reserves.example.com", v1alpha1.PlayStandard)
	later.Spec.ClassName = far.Name
	w.create(later)
	w.wants(first, v1alpha1.ConditionAccepted, metav1.ConditionFalse, v1alpha1.ReasonRegionMismatch)
	second := feeds(ns, "second", "push", "good")
	w.create(second)
	w.accepted(second)
	bound("second")
	w.wants(first, v1alpha1.ConditionAccepted, metav1.ConditionFalse, v1alpha1.ReasonPushDomainAlreadyAssociated)
}

// TestTheFirstBindingStays: associations made in the same second are equally old, and the name of the second comes
// first.
func TestTheFirstBindingStays(t *testing.T) {
	w := start(t, nil)
	ns := server.Namespace(t, nil)
	w.create(
		w.push(ns, "push", "push.binding.example.com"),
		w.play(
			ns,
			"one",
			"one.binding.example.com",
			v1alpha1.PlayRTS,
		),
		w.play(ns, "two", "two.binding.example.com", v1alpha1.PlayRTS),
	)
	first := feeds(ns, "z-first", "push", "one")
	w.create(first)
	// Until its ends are there, it is bound to nothing.
	w.wants(first, v1alpha1.ConditionResolvedRefs, metav1.ConditionTrue, v1alpha1.ReasonResolvedRefs)
	w.accepted(first)
	second := feeds(ns, "a-second", "push", "two")
	w.create(second)
	w.wants(second, v1alpha1.ConditionAccepted, metav1.ConditionFalse, v1alpha1.ReasonPushDomainAlreadyAssociated)
	w.accepted(first)
	w.stop()
	w.run() // another leader reads it from the claim
	w.accepted(first)
	if err := w.client.Delete(t.Context(), first); err != nil {
		t.Fatal(err)
	}
	w.accepted(second)
}
