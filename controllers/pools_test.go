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
	"github.com/millrace/millrace/controllers/envtest"
	"github.com/millrace/millrace/dataplane/plan/bundle"
	"github.com/millrace/millrace/dataplane/pod/podspec"
)

// deployment waits until the Deployment of a pool is there, or not.
func (w *world) deployment(role podspec.Role, there bool) *appsv1.Deployment {
	w.t.Helper()
	var d appsv1.Deployment
	envtest.Eventually(w.t, soon, func() error {
		err := w.client.Get(context.Background(), client.ObjectKey{Namespace: w.opt.MediaNamespace, Name: podspec.PoolName(w.class, role)}, &d)
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
func (w *world) plan(role podspec.Role) (*bundle.Bundle, error) {
	secrets := make([]map[string][]byte, podspec.PlanChunks)
	for n := range secrets {
		var s corev1.Secret
		key := client.ObjectKey{Namespace: w.opt.MediaNamespace, Name: podspec.PlanSecretName(w.class, role, n)}
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
	for _, role := range podspec.Roles() {
		w.deployment(role, false)
	}

	push := w.push(ns, "push", "push.pools.example.com")
	w.create(push)
	w.accepted(push)
	w.deployment(podspec.Ingest, true)
	w.deployment(podspec.Relay, false)
	play := w.play(ns, "play", "play.pools.example.com", v1alpha1.PlayRTS)
	w.create(play, feeds(ns, "feeds", "push", "play"))
	w.deployment(podspec.Relay, true)
	w.deployment(podspec.Edge, false)
	envtest.Eventually(t, soon, func() error {
		b, err := w.plan(podspec.Ingest)
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
	envtest.Eventually(t, soon, func() error {
		b, err := w.plan(podspec.Relay)
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
	w.deployment(podspec.Relay, false)
	w.deployment(podspec.Ingest, true)
	envtest.Eventually(t, soon, func() error {
		if _, err := w.plan(podspec.Relay); !apierrors.IsNotFound(err) {
			return fmt.Errorf("the plan of a pool that is gone: %w", err)
		}
		return nil
	})
}
