package operator

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/go-logr/logr"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"

	"github.com/millrace/millrace/api/v1alpha1"
)

// +kubebuilder:rbac:groups=live.millrace.dev,resources=mediaclasses,verbs=create

// defaultClass makes a MediaClass when there is none at all, so that a new cluster serves what names no class. It never
// changes one.
type defaultClass struct {
	client client.Client
	file   string
	log    logr.Logger
}

// Start tries until there is a class. Only the leader runs it.
func (d *defaultClass) Start(ctx context.Context) error {
	if d.file == "" {
		return nil
	}
	for {
		if err := d.make(ctx); err == nil {
			return nil
		} else if ctx.Err() == nil {
			d.log.Error(err, "Making the default class failed, trying again", "file", d.file)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(5 * time.Second):
		}
	}
}

func (d *defaultClass) make(ctx context.Context) error {
	text, err := os.ReadFile(d.file)
	if errors.Is(err, os.ErrNotExist) {
		return nil // the installation says that it wants none
	}
	if err != nil {
		return err
	}
	var class v1alpha1.MediaClass
	if err := yaml.UnmarshalStrict(text, &class); err != nil {
		return fmt.Errorf("read the class: %w", err)
	}
	var there v1alpha1.MediaClassList
	if err := d.client.List(ctx, &there, client.Limit(1)); err != nil {
		return fmt.Errorf("look for classes: %w", err)
	}
	if len(there.Items) > 0 {
		return nil
	}
	if err := d.client.Create(ctx, &class); err != nil && !apierrors.IsAlreadyExists(err) {
		return fmt.Errorf("create MediaClass %s: %w", class.Name, err)
	}
	d.log.Info("Made the first class", "MediaClass", class.Name)
	return nil
}
