package kube

import (
	"context"
	"errors"
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/watch"

	"github.com/millrace/millrace/internal/contract"
	"github.com/millrace/millrace/internal/contract/bundle"
)

// mixedTries is how often the pieces of a Plan are read again when they do not fit: they are written one after another.
const mixedTries = 20

// WatchPlan offers the Plan of a pool whenever its first Secret changes, until the context ends. The first is written
// last.
func (c *Client) WatchPlan(
	ctx context.Context,
	class string,
	role contract.Role,
	offer func([]map[string][]byte) error,
) {
	name := contract.PlanSecretName(class, role, 0)
	options := metav1.ListOptions{FieldSelector: "metadata.name=" + name}
	c.again(ctx, "plan", func(ctx context.Context) error {
		secrets := c.api.CoreV1().Secrets(c.opt.Namespace)
		asking, cancel := context.WithTimeout(ctx, listTime)
		defer cancel()
		list, err := secrets.List(asking, options)
		if err != nil {
			return fmt.Errorf("listing Secret %s: %w", name, err)
		}
		for i := range list.Items {
			if err := c.assemble(ctx, class, role, &list.Items[i], offer); err != nil {
				return err
			}
		}
		w, err := secrets.Watch(ctx, watchOptions(options, list.ResourceVersion))
		if err != nil {
			return fmt.Errorf("watching Secret %s: %w", name, err)
		}
		return events(ctx, w, func(e watch.Event) error {
			first, ok := e.Object.(*corev1.Secret)
			if !ok || e.Type == watch.Deleted { // a Plan that is deleted is not one that is empty
				return nil
			}
			return c.assemble(ctx, class, role, first, offer)
		})
	})
}

// assemble reads the other pieces of a Plan and offers the whole. Only a server that does not answer is an error.
func (c *Client) assemble(
	ctx context.Context,
	class string,
	role contract.Role,
	first *corev1.Secret,
	offer func([]map[string][]byte) error,
) error {
	meta, err := bundle.ReadMeta(first.Data)
	if err != nil {
		_ = offer([]map[string][]byte{first.Data}) // it says so where refusals are counted
		return nil                                 //nolint:nilerr // it was refused, and the watch goes on
	}
	for range mixedTries {
		all := []map[string][]byte{first.Data}
		for n := 1; n < meta.Chunks; n++ {
			name := contract.PlanSecretName(class, role, n)
			asking, cancel := context.WithTimeout(ctx, listTime)
			secret, err := c.api.CoreV1().Secrets(c.opt.Namespace).Get(asking, name, metav1.GetOptions{})
			cancel()
			if err != nil {
				return fmt.Errorf("reading Secret %s: %w", name, err)
			}
			all = append(all, secret.Data)
		}
		err := offer(all)
		if !errors.Is(err, bundle.ErrMixed) || meta.Chunks == 1 {
			return nil // taken, or refused for good
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(retryFirst):
		}
	}
	return nil // a later change of the first piece brings what fits
}
