package kube

import (
	"bufio"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"time"

	"github.com/millrace/millrace/hack/image"
)

// Names of the images in config/default.
const (
	operatorName = "ghcr.io/millrace/millrace-operator"
	mediaName    = "ghcr.io/millrace/millrace-media"
)

// The variables that name images for a cluster that is not of hack/cluster.
const (
	envOperatorImage = "MILLRACE_OPERATOR_IMAGE"
	envMediaImage    = "MILLRACE_MEDIA_IMAGE"
)

// Images are what Millrace runs from.
type Images struct{ Operator, Media string }

// BuildImages builds the binary of this tree, makes the images without an engine and loads them into the nodes. Their
// tags are made of the binary's content and of salt, so that the same tree has the same images, and another salt is
// another image of the same content.
func (c *Cluster) BuildImages(ctx context.Context, salt string) (Images, error) {
	if !c.local {
		given := Images{Operator: os.Getenv(envOperatorImage), Media: os.Getenv(envMediaImage)}
		if given.Operator == "" || given.Media == "" {
			return Images{}, fmt.Errorf(
				"%s and %s must name images that your cluster can pull: docker build --target operator and --target media, then "+
					"push them or load them (kind load docker-image)",
				envOperatorImage,
				envMediaImage,
			)
		}
		return given, nil
	}
	dir, err := os.MkdirTemp("", "millrace-images-")
	if err != nil {
		return Images{}, fmt.Errorf("making a folder for images: %w", err)
	}
	defer os.RemoveAll(dir)
	binary := filepath.Join(dir, "millrace")
	build := exec.CommandContext(ctx, "go", "build", "-trimpath", "-buildvcs=false", "-ldflags=-s -w", "-o", binary, ".")
	build.Dir, build.Env = c.Root, append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		return Images{}, fmt.Errorf("building millrace: %w: %s", err, out)
	}
	tag, err := digest(binary, salt)
	if err != nil {
		return Images{}, err
	}
	images := Images{Operator: "millrace.test/operator:" + tag, Media: "millrace.test/media:" + tag}
	load := []string{"load"}
	for name, reference := range map[string]string{image.Operator: images.Operator, image.Media: images.Media} {
		archive := filepath.Join(dir, "millrace-"+name+salt+".tar")
		if err := writeImage(ctx, name, dir, reference, archive); err != nil {
			return Images{}, err
		}
		load = append(load, archive)
	}
	_, err = c.Tool(ctx, load...)
	return images, err
}

func digest(file, salt string) (string, error) {
	f, err := os.Open(file)
	if err != nil {
		return "", fmt.Errorf("reading the binary: %w", err)
	}
	defer f.Close()
	sum := sha256.New()
	if _, err := io.Copy(sum, f); err != nil {
		return "", fmt.Errorf("reading the binary: %w", err)
	}
	return fmt.Sprintf("%.6x%s", sum.Sum(nil), salt), nil
}

func writeImage(ctx context.Context, name, built, reference, archive string) error {
	list, err := image.Read(name)
	if err != nil {
		return err
	}
	entries, err := list.Collect(ctx, built)
	if err != nil {
		return err
	}
	f, err := os.Create(archive)
	if err != nil {
		return fmt.Errorf("making an archive: %w", err)
	}
	w := bufio.NewWriterSize(f, 1<<20)
	return errors.Join(list.Write(w, reference, entries), w.Flush(), f.Close())
}

// Install applies config/default with these images, as a user does with an overlay, and waits until the operator is
// there.
func (c *Cluster) Install(ctx context.Context, images Images) error {
	if _, err := c.Apply(ctx, images); err != nil {
		return err
	}
	return c.WaitOperator(ctx, 90*time.Second)
}

// Apply applies config/default with these images, and returns what kubectl says of each object.
func (c *Cluster) Apply(ctx context.Context, images Images) (string, error) {
	dir, err := os.MkdirTemp("", "millrace-overlay-")
	if err != nil {
		return "", fmt.Errorf("making a folder for the overlay: %w", err)
	}
	defer os.RemoveAll(dir)
	base, err := filepath.Rel(dir, filepath.Join(c.Root, "config", "default"))
	if err != nil {
		return "", fmt.Errorf("finding config/default: %w", err)
	}
	split := func(reference string) (name, tag string) {
		for i := len(reference) - 1; i >= 0 && reference[i] != '/'; i-- {
			if reference[i] == ':' {
				return reference[:i], reference[i+1:]
			}
		}
		return reference, "latest"
	}
	operator, operatorTag := split(images.Operator)
	media, mediaTag := split(images.Media)
	overlay := fmt.Sprintf(`apiVersion: kustomize.config.k8s.io/v1beta1
kind: Kustomization
resources: [%s]
images:
- {name: %s, newName: %s, newTag: "%s"}
- {name: %s, newName: %s, newTag: "%s"}
`, base, operatorName, operator, operatorTag, mediaName, media, mediaTag)
	if err := os.WriteFile(filepath.Join(dir, "kustomization.yaml"), []byte(overlay), 0o600); err != nil {
		return "", fmt.Errorf("writing the overlay: %w", err)
	}
	return c.Kubectl(ctx, "", "apply", "--server-side", "--force-conflicts", "-k", dir) // a chart may have been there
}

// WaitOperator waits until all replicas of the operator run and are Ready.
func (c *Cluster) WaitOperator(ctx context.Context, limit time.Duration) error {
	_, err := c.Kubectl(
		ctx,
		"",
		"-n",
		OperatorNamespace,
		"rollout",
		"status",
		"deployment/millrace-operator",
		"--timeout="+limit.String(),
	)
	return err
}

// The namespaces of config/default.
const (
	OperatorNamespace = "millrace-system"
	MediaNamespace    = "millrace-media"
)
