package admission

import (
	"context"
	"fmt"
	"time"

	"github.com/go-logr/logr"
	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/event"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"
	"sigs.k8s.io/controller-runtime/pkg/source"
)

// Keeper keeps the webhook in its configuration: with a bundle that proves the webhook's certificate, and with
// failurePolicy Fail as soon as a refusal came back. The configuration itself belongs to whoever installed the
// operator: when it is deleted, it stays away.
type Keeper struct {
	Client client.Client
	Site   Site
	// Bundle returns the CAs in PEM; empty while they are not known. nil: somebody else writes them.
	Bundle func() []byte
	// Changes tells that Bundle gives something else now; may be nil.
	Changes <-chan struct{}
	// Test tries the webhook through the API server; see SelfTest.
	Test func(context.Context) error
	// Retry is the time between two tests; 0: 1 s.
	Retry time.Duration
	Log   logr.Logger
}

// SetUp adds the keeper to a manager. Only the leader runs it.
func (k *Keeper) SetUp(mgr ctrl.Manager) error {
	request := reconcile.Request{NamespacedName: types.NamespacedName{Name: ConfigurationName}}
	b := ctrl.NewControllerManagedBy(mgr).Named("webhookconfiguration").
		For(&admissionregistrationv1.ValidatingWebhookConfiguration{})
	if k.Changes != nil {
		events := make(chan event.GenericEvent)
		b = b.WatchesRawSource(
			source.Channel(events, handler.EnqueueRequestsFromMapFunc(func(context.Context, client.Object) []reconcile.Request {
				return []reconcile.Request{request}
			})),
		)
		if err := mgr.Add(leaderOnly(func(ctx context.Context) error {
			for {
				select {
				case <-ctx.Done():
					return nil
				case <-k.Changes:
					select {
					case <-ctx.Done():
						return nil
					case events <- event.GenericEvent{Object: &admissionregistrationv1.ValidatingWebhookConfiguration{}}:
					}
				}
			}
		})); err != nil {
			return err
		}
	}
	return b.Complete(k)
}

// leaderOnly is a runnable that only the leader runs.
type leaderOnly func(context.Context) error

func (f leaderOnly) Start(ctx context.Context) error { return f(ctx) }

// Reconcile brings the configuration one step further: bundle, then test, then Fail. It never goes back from Fail.
func (k *Keeper) Reconcile(ctx context.Context, req reconcile.Request) (reconcile.Result, error) {
	if req.Name != ConfigurationName {
		return reconcile.Result{}, nil
	}
	var there admissionregistrationv1.ValidatingWebhookConfiguration
	err := k.Client.Get(ctx, req.NamespacedName, &there)
	if apierrors.IsNotFound(err) {
		k.Log.Info(
			"There is no webhook configuration: objects are judged by the reconcilers alone",
			"ValidatingWebhookConfiguration",
			req.Name,
		)
		return reconcile.Result{}, nil
	}
	if err != nil {
		return reconcile.Result{}, fmt.Errorf("read ValidatingWebhookConfiguration %s: %w", req.Name, err)
	}
	var bundle []byte
	if k.Bundle != nil {
		if bundle = k.Bundle(); len(bundle) == 0 {
			return reconcile.Result{RequeueAfter: k.retry()}, nil
		}
	}
	policy := admissionregistrationv1.Ignore
	live := find(&there)
	if live != nil && live.FailurePolicy != nil && *live.FailurePolicy == admissionregistrationv1.Fail {
		policy = admissionregistrationv1.Fail
	}
	if desired := Desired(k.Site, bundle, policy); !same(live, desired) {
		if err := k.apply(ctx, &there, desired); err != nil {
			return reconcile.Result{}, err
		}
		k.Log.Info("Wrote the webhook into its configuration", "failurePolicy", policy)
	}
	if policy == admissionregistrationv1.Fail {
		return reconcile.Result{}, nil
	}
	if err := k.Test(ctx); err != nil {
		k.Log.V(1).Info("The webhook is not usable yet, its failurePolicy stays Ignore", "cause", err.Error())
		return reconcile.Result{RequeueAfter: k.retry()}, nil
	}
	if err := k.apply(ctx, &there, Desired(k.Site, bundle, admissionregistrationv1.Fail)); err != nil {
		return reconcile.Result{}, err
	}
	k.Log.Info("The webhook refused the test object: its failurePolicy is Fail from now on")
	return reconcile.Result{}, nil
}

func (k *Keeper) retry() time.Duration {
	if k.Retry > 0 {
		return k.Retry
	}
	return time.Second
}

// apply writes the webhook by server-side apply. The uid keeps it from making a configuration that somebody has just
// deleted.
func (k *Keeper) apply(
	ctx context.Context,
	there *admissionregistrationv1.ValidatingWebhookConfiguration,
	desired admissionregistrationv1.ValidatingWebhook,
) error {
	content, err := runtime.DefaultUnstructuredConverter.ToUnstructured(&desired)
	if err != nil {
		return fmt.Errorf("encode the webhook: %w", err)
	}
	object := &unstructured.Unstructured{Object: map[string]any{
		"apiVersion": admissionregistrationv1.SchemeGroupVersion.String(),
		"kind":       "ValidatingWebhookConfiguration",
		"metadata":   map[string]any{"name": there.Name, "uid": string(there.UID)},
		"webhooks":   []any{content},
	}}
	err = k.Client.Apply(
		ctx,
		client.ApplyConfigurationFromUnstructured(object),
		client.FieldOwner(FieldOwner),
		client.ForceOwnership,
	)
	if err != nil {
		return fmt.Errorf("write the webhook into ValidatingWebhookConfiguration %s: %w", there.Name, err)
	}
	return nil
}
