package operator_test

import (
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	apimeta "k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/millrace/millrace/api/v1alpha1"
	"github.com/millrace/millrace/controllers/envtest"
	"github.com/millrace/millrace/internal/testkit"
)

// Ten tenants ask for one hostname a hundred times at once, with the webhook in place and without it: exactly one
// object has it, the others are told that it is taken and not by whom, and when the winner goes one of the others
// follows.
func TestARaceForAHostnameHasOneWinner(t *testing.T) {
	c := installed(t)
	run(t, c)
	waitEnforced(t, c)
	wantDefaultClass(t, c)
	t.Run("with the webhook", func(t *testing.T) { race(t, c, "on", 20) })
	removeWebhook(t, c)
	t.Run("without the webhook", func(t *testing.T) { race(t, c, "off", 20) })
	installed(t)
}

func race(t *testing.T, c *envtest.Cluster, name string, rounds int) {
	namespaces := make([]string, 10)
	for i := range namespaces {
		namespaces[i] = c.Namespace(t, nil)
	}
	for round := range rounds {
		host := v1alpha1.Hostname(fmt.Sprintf("round-%d.%s.race.example.com", round, name))
		objects := make([]client.Object, 100)
		for i := range objects {
			switch ns, of := namespaces[i%10], fmt.Sprintf("r%d-%d", round, i); i % 3 {
			case 0:
				objects[i] = push(ns, of, host)
			case 1:
				objects[i] = standard(ns, of, host)
			default:
				objects[i] = rts(ns, of, host)
			}
		}
		created := createAll(t, c, objects)
		if len(created) == 0 {
			t.Fatalf("round %d: nobody was let in", round)
		}
		winner := wantOneWinner(t, c, host, len(created), namespaces)
		if err := c.Delete(t.Context(), winner); err != nil {
			t.Fatal(err)
		}
		began := time.Now()
		if len(created) > 1 {
			wantOneWinner(t, c, host, len(created)-1, namespaces)
		}
		t.Logf("round %d: %d of 100 got past the API server; when the winner went, one followed after %s",
			round, len(created), time.Since(began).Round(10*time.Millisecond))
		for _, o := range created {
			if err := c.Delete(t.Context(), o); client.IgnoreNotFound(err) != nil {
				t.Fatal(err)
			}
		}
	}
}

// createAll creates objects at once and gives those that the API server took.
func createAll(t *testing.T, c *envtest.Cluster, objects []client.Object) []client.Object {
	t.Helper()
	errs := make([]error, len(objects))
	var all sync.WaitGroup
	for i, o := range objects {
		all.Go(func() { errs[i] = c.Create(t.Context(), o) })
	}
	all.Wait()
	var created []client.Object
	for i, err := range errs {
		switch {
		case err == nil:
			created = append(created, objects[i])
		case !refusedFor(err, v1alpha1.ReasonHostnameConflict):
			t.Errorf("%s: %v", objects[i].GetName(), err)
		}
	}
	return created
}

// wantOneWinner waits until all domains with a hostname are decided, and wants one of them accepted. At no moment may
// two be.
func wantOneWinner(
	t *testing.T,
	c *envtest.Cluster,
	host v1alpha1.Hostname,
	count int,
	namespaces []string,
) client.Object {
	t.Helper()
	var winner client.Object
	testkit.Succeeds(t, func() error {
		var push v1alpha1.PushDomainList
		var play v1alpha1.PlayDomainList
		for _, list := range []client.ObjectList{&push, &play} {
			if err := c.List(t.Context(), list, client.MatchingFields{"spec.hostname": string(host)}); err != nil {
				return err
			}
		}
		winner = nil
		seen, open := 0, error(nil)
		look := func(o client.Object, conditions []metav1.Condition) {
			seen++
			condition := apimeta.FindStatusCondition(conditions, v1alpha1.ConditionAccepted)
			switch {
			case condition == nil:
				open = fmt.Errorf("%s is not decided yet", client.ObjectKeyFromObject(o))
				return
			case condition.Status == metav1.ConditionTrue && winner != nil:
				t.Fatalf(
					"two objects have one hostname: %s and %s",
					client.ObjectKeyFromObject(winner),
					client.ObjectKeyFromObject(o),
				)
			case condition.Status == metav1.ConditionTrue:
				winner = o
			case condition.Reason != string(v1alpha1.ReasonHostnameConflict):
				open = fmt.Errorf("%s: %s, %s", client.ObjectKeyFromObject(o), condition.Reason, condition.Message)
			}
			for _, ns := range namespaces {
				if ns != o.GetNamespace() && strings.Contains(condition.Message, ns) {
					t.Errorf("one is told of namespace %s: %s", ns, condition.Message)
				}
			}
		}
		for i := range push.Items {
			look(&push.Items[i], push.Items[i].Status.Conditions)
		}
		for i := range play.Items {
			look(&play.Items[i], play.Items[i].Status.Conditions)
		}
		switch {
		case seen != count:
			return fmt.Errorf("there are %d domains, want %d", seen, count)
		case open == nil && winner == nil:
			return fmt.Errorf("none of %d is accepted", count)
		}
		return open
	})
	return winner
}
