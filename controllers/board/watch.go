package board

import (
	"context"
	"fmt"
	"maps"

	corev1 "k8s.io/api/core/v1"
	toolscache "k8s.io/client-go/tools/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/millrace/millrace/api/v1alpha1"
)

// Watch makes changes in the caches kick the board. What only we write, status and finalizers, does not.
func (b *Board) Watch(ctx context.Context) error {
	spec := func(old, next client.Object) bool {
		return old.GetUID() != next.GetUID() || old.GetGeneration() != next.GetGeneration() ||
			!old.GetDeletionTimestamp().Equal(next.GetDeletionTimestamp())
	}
	meta := func(old, next client.Object) bool {
		return !maps.Equal(old.GetLabels(), next.GetLabels()) || !maps.Equal(old.GetAnnotations(), next.GetAnnotations())
	}
	data := func(old, next client.Object) bool { return old.GetResourceVersion() != next.GetResourceVersion() }
	always := func(client.Object) bool { return true }
	wanted := func(o client.Object) bool { return b.secrets.wanted(client.ObjectKeyFromObject(o)) }
	for _, w := range []struct {
		object  client.Object
		counts  func(client.Object) bool
		changed func(old, next client.Object) bool
	}{
		{&v1alpha1.PushDomain{}, always, spec},
		{&v1alpha1.PlayDomain{}, always, spec},
		{&v1alpha1.DomainAssociation{}, always, spec},
		{&v1alpha1.RTSTranscodeTemplate{}, always, spec},
		{&v1alpha1.MediaClass{}, always, spec},
		{&v1alpha1.DomainClaim{}, always, spec},
		{&corev1.Namespace{}, always, meta},
		{SecretMetadata(), wanted, data},
	} {
		informer, err := b.opt.Cache.GetInformer(ctx, w.object)
		if err != nil {
			return fmt.Errorf("watch %T: %w", w.object, err)
		}
		if _, err := informer.AddEventHandler(b.handler(w.counts, w.changed)); err != nil {
			return fmt.Errorf("watch %T: %w", w.object, err)
		}
	}
	return nil
}

func (b *Board) handler(
	counts func(client.Object) bool,
	changed func(old, next client.Object) bool,
) toolscache.ResourceEventHandler {
	kick := func(o any) {
		if gone, ok := o.(toolscache.DeletedFinalStateUnknown); ok {
			o = gone.Obj
		}
		if object, ok := o.(client.Object); !ok || counts(object) {
			b.Kick()
		}
	}
	return toolscache.ResourceEventHandlerFuncs{
		AddFunc:    kick,
		DeleteFunc: kick,
		UpdateFunc: func(old, next any) {
			was, ok := old.(client.Object)
			is, fine := next.(client.Object)
			if !ok || !fine || changed(was, is) {
				kick(next)
			}
		},
	}
}
