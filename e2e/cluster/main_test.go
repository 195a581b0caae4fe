// Package cluster shows Millrace at work on a real Kubernetes: pods on three nodes, real publishers and players, and
// what happens when parts fail.
package cluster

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/millrace/millrace/e2e/kube"
	"github.com/millrace/millrace/hack/image"
)

// limit bounds one test with all that it waits for.
const limit = 6 * time.Minute

// on returns a test the cluster. Where there is none the test is skipped; where CI runs that is a failure.
func on(t *testing.T) (context.Context, *kube.Cluster) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), limit)
	t.Cleanup(cancel)
	c, err := kube.Find(ctx)
	switch {
	case errors.Is(err, kube.ErrNone) && os.Getenv("CI") != "true":
		t.Skip(err)
	case err != nil:
		t.Fatal(err)
	}
	return ctx, c
}

// onNodes returns a test the cluster when it is one of this machine: its nodes and processes can be killed, and it has
// images of this tree.
func onNodes(t *testing.T) (context.Context, *kube.Cluster) {
	t.Helper()
	ctx, c := on(t)
	if !c.Local() {
		t.Skip(
			"the cluster is yours: nothing of it is killed or replaced; without KUBECONFIG and after make cluster-up this " +
				"runs on nodes of this machine",
		)
	}
	return ctx, c
}

// echoImage is the image of e2e/cluster/echo, loaded into the nodes.
func echoImage(ctx context.Context, t *testing.T, c *kube.Cluster) string {
	t.Helper()
	const name = "millrace.test/echo:1"
	dir := t.TempDir()
	build := exec.CommandContext(ctx, "go", "build", "-trimpath", "-o", filepath.Join(dir, "echo"), "./e2e/cluster/echo")
	build.Dir, build.Env = c.Root, append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("building echo: %v: %s", err, out)
	}
	list := image.Statically("echo")
	entries, err := list.Collect(ctx, dir)
	if err != nil {
		t.Fatal(err)
	}
	archive := filepath.Join(dir, "echo.tar")
	f, err := os.Create(archive)
	if err == nil {
		err = errors.Join(list.Write(f, name, entries), f.Close())
	}
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.Tool(ctx, "load", archive); err != nil {
		t.Fatal(err)
	}
	return name
}

// apply applies manifests.
func apply(ctx context.Context, t *testing.T, c *kube.Cluster, manifests string) {
	t.Helper()
	if _, err := c.Kubectl(ctx, manifests, "apply", "-f", "-"); err != nil {
		t.Fatal(err)
	}
}

// namespace makes a namespace for a test and removes it after it.
func namespace(ctx context.Context, t *testing.T, c *kube.Cluster, name string) {
	t.Helper()
	apply(ctx, t, c, fmt.Sprintf("{apiVersion: v1, kind: Namespace, metadata: {name: %s}}", name))
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		if _, err := c.Kubectl(ctx, "", "delete", "namespace", name, "--ignore-not-found", "--timeout=50s"); err != nil {
			t.Error(err)
		}
	})
}
