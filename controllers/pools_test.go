package controllers_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/millrace/millrace/api/v1alpha1"
	"github.com/millrace/millrace/controllers"
	"github.com/millrace/millrace/internal/contract"
	"github.com/millrace/millrace/internal/contract/bundle"
	"github.com/millrace/millrace/internal/testkit"
)

// deployment waits until the Deployment of a pool is there, or not.
func (w *world) deployment(role contract.Role, there bool) *appsv1.Deployment {
	w.t.Helper()
	var d appsv1.Deployment
	testkit.Succeeds(w.t, func() error {
		err := w.client.Get(
			context.Background(),
			client.ObjectKey{Namespace: w.opt.MediaNamespace, Name: contract.PoolName(w.class, role)},
			&d,
		)
		if there || err != nil && !apierrors.IsNotFound(err) {
			return err
		}
		if err == nil {
			return fmt.Errorf("Deployment %s is still there", d.Name)
		}
		return nil
	})
	return &d
}

// plan reads the Plan that a pool's pods get.
func (w *world) plan(role contract.Role) (*bundle.Bundle, error) {
	secrets := make([]map[string][]byte, contract.PlanChunks)
	for n := range secrets {
		var s corev1.Secret
		key := client.ObjectKey{Namespace: w.opt.MediaNamespace, Name: contract.PlanSecretName(w.class, role, n)}
		if err := w.client.Get(context.Background(), key, &s); err != nil {
			return nil, err
		}
		secrets[n] = s.Data
	}
	return bundle.Decode(secrets)
}

func TestPoolsComeAndGoWithDomains(t *testing.T) {
	w := start(t, func(o *controllers.Options) { o.IdleFor = 3 * time.Second })
	ns := server.Namespace(t, nil)
	class := &v1alpha1.MediaClass{ObjectMeta: metav1.ObjectMeta{Name: w.class}}
	w.wants(class, v1alpha1.ConditionReady, metav1.ConditionTrue, v1alpha1.ReasonReady)
	for _, role := range contract.Roles() {
		w.deployment(role, false)
	}

	push := w.push(ns, "push", "push.pools.example.com")
	w.create(push)
	w.accepted(push)
	w.deployment(contract.Ingest, true)
	w.deployment(contract.Relay, false)
	play := w.play(ns, "play", "play.pools.example.com", v1alpha1.PlayRTS)
	w.create(play, feeds(ns, "feeds", "push", "play"))
	w.deployment(contract.Relay, true)
	w.deployment(contract.Edge, false)
	testkit.Succeeds(t, func() error {
		b, err := w.plan(contract.Ingest)
		if err != nil {
			return err
		}
		if len(b.Plan.Push) != 1 || b.Plan.Push[0].Space != "play.pools.example.com" || len(b.Plan.Play) != 0 {
			return fmt.Errorf("the plan of ingest pods: %+v", b.Plan)
		}
		return nil
	})

	if err := w.client.Delete(t.Context(), play); err != nil {
		t.Fatal(err)
	}
	testkit.Succeeds(t, func() error {
		b, err := w.plan(contract.Relay)
		if apierrors.IsNotFound(err) {
			return nil // it is gone already, with the pool
		}
		if err != nil {
			return err
		}
		if len(b.Plan.Play) != 0 || !b.Meta.AllowShrink {
			return fmt.Errorf("the plan of relay pods: %+v, %+v", b.Plan, b.Meta)
		}
		return nil
	})
	w.deployment(contract.Relay, false)
	w.deployment(contract.Ingest, true)
	testkit.Succeeds(t, func() error {
		if _, err := w.plan(contract.Relay); !apierrors.IsNotFound(err) {
			return fmt.Errorf("the plan of a pool that is gone: %w", err)
		}
		return nil
	})
}

// A class keeps its image through an upgrade of the operator. Its relays are asked for what that image may not know
// only if they run it already, also when something else of the class makes new pods of them; a pool that is made anew
// is not.
func TestAKeptImageIsAskedForWhatItKnows(t *testing.T) {
	w := start(t, func(o *controllers.Options) { o.Image = "millrace/media:old" })
	ns := server.Namespace(t, nil)
	relay := func(name string, drain int32, farewell bool) {
		t.Helper()
		class := &v1alpha1.MediaClass{ObjectMeta: metav1.ObjectMeta{Name: name}}
		if err := w.get(class); err != nil {
			t.Fatal(err)
		}
		before := class.DeepCopy()
		class.Spec.Pools.Relay.DrainSeconds = &drain
		if err := w.client.Patch(t.Context(), class, client.MergeFrom(before)); err != nil {
			t.Fatal(err)
		}
		testkit.Succeeds(t, func() error {
			var d appsv1.Deployment
			if err := w.client.Get(t.Context(), client.ObjectKey{Namespace: w.opt.MediaNamespace, Name: contract.PoolName(name,
				contract.Relay)}, &d); err != nil {
				return err
			}
			spec := d.Spec.Template.Spec
			if *spec.TerminationGracePeriodSeconds != int64(drain)+contract.KillAfterDrain ||
				spec.Containers[0].Image != "millrace/media:old" ||
				(len(spec.Containers) == 2) != farewell {
				return fmt.Errorf(
					"class %s: %d containers of %s, %d s",
					name,
					len(spec.Containers),
					spec.Containers[0].Image,
					*spec.TerminationGracePeriodSeconds,
				)
			}
			return nil
		})
	}
	w.create(
		w.push(ns, "push", "push.kept.example.com"),
		w.play(ns, "play", "play.kept.example.com", v1alpha1.PlayRTS),
		feeds(ns, "feeds", "push", "play"),
	)
	relay(w.class, 100, true)

	// Another class, of which no relay was needed yet.
	other := &v1alpha1.MediaClass{
		ObjectMeta: metav1.ObjectMeta{Name: w.class + "-other"},
		Spec:       v1alpha1.MediaClassSpec{RTS: &v1alpha1.RTSGrant{}},
	}
	w.create(other)
	w.wants(other, v1alpha1.ConditionReady, metav1.ConditionTrue, v1alpha1.ReasonReady)
	if other.Status.Image != "millrace/media:old" {
		t.Fatalf("the class has image %q", other.Status.Image)
	}
	w.stop()
	w.opt.Image = "millrace/media:new"
	w.run()
	relay(w.class, 101, true)
	push, play := w.push(
		ns,
		"push-other",
		"push.other.example.com",
	), w.play(
		ns,
		"play-other",
		"play.other.example.com",
		v1alpha1.PlayRTS,
	)
	push.Spec.ClassName, play.Spec.ClassName = other.Name, other.Name
	w.create(push, play, feeds(ns, "feeds-other", "push-other", "play-other"))
	relay(other.Name, 102, false)
}
