// Package kube is a Kubernetes cluster as end-to-end tests use it: that of hack/cluster on this machine, or one that
// KUBECONFIG names.
package kube

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/go-logr/logr"
	corev1 "k8s.io/api/core/v1"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	"k8s.io/apimachinery/pkg/runtime"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/tools/clientcmd"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/log"

	"github.com/millrace/millrace/api/v1alpha1"
)

// stateDir is where hack/cluster keeps the cluster of this machine.
const stateDir = "/var/tmp/millrace-cluster"

// Cluster is a cluster that answers.
type Cluster struct {
	client.Client
	Root string // the project's folder

	kubeconfig string
	local      bool // made by hack/cluster
}

// ErrNone says that there is no cluster to test with.
var ErrNone = errors.New(
	"no cluster: make cluster-up makes one on this machine (Linux, root); KUBECONFIG names one of yours",
)

// Find finds the cluster that KUBECONFIG names, else that of this machine.
func Find(ctx context.Context) (*Cluster, error) {
	root, err := projectRoot()
	if err != nil {
		return nil, err
	}
	own := filepath.Join(stateDir, "pki", "admin.kubeconfig")
	c := &Cluster{Root: root, kubeconfig: os.Getenv("KUBECONFIG")}
	if c.kubeconfig == "" {
		c.kubeconfig = own
	}
	c.local = c.kubeconfig == own
	if _, err := os.Stat(c.kubeconfig); err != nil {
		return nil, ErrNone
	}
	config, err := clientcmd.BuildConfigFromFlags("", c.kubeconfig)
	if err != nil {
		return nil, fmt.Errorf("reading %s: %w", c.kubeconfig, err)
	}
	config.QPS, config.Burst = 200, 400
	log.SetLogger(logr.Discard()) // the library complains when nobody has said where it logs
	scheme := runtime.NewScheme()
	if err := errors.Join(clientgoscheme.AddToScheme(scheme), apiextensionsv1.AddToScheme(scheme),
		v1alpha1.AddToScheme(scheme)); err != nil {
		return nil, fmt.Errorf("registering kinds: %w", err)
	}
	if c.Client, err = client.New(config, client.Options{Scheme: scheme}); err != nil {
		return nil, fmt.Errorf("making a client of %s: %w", config.Host, err)
	}
	var nodes corev1.NodeList
	limit, cancel := context.WithTimeout(ctx, 20*time.Second)
	defer cancel()
	if err := c.List(limit, &nodes); err != nil {
		return nil, fmt.Errorf("listing the nodes of %s: %w", config.Host, err)
	}
	return c, nil
}

// Local reports whether nodes can be killed, stopped and partitioned: the cluster is one of hack/cluster.
func (c *Cluster) Local() bool { return c.local }

// Tool runs hack/cluster's command: kill, stop, boot, partition and heal a node, stop-daemon and start-daemon for the
// control plane, load images.
func (c *Cluster) Tool(ctx context.Context, args ...string) (string, error) {
	if !c.local {
		return "", errors.New("the cluster is not one of hack/cluster")
	}
	tool, err := tool()
	if err != nil {
		return "", err
	}
	return c.run(ctx, "", tool, args...)
}

func tool() (string, error) {
	cache, err := os.UserCacheDir()
	if err != nil {
		return "", fmt.Errorf("finding the cache folder: %w", err)
	}
	return filepath.Join(cache, "millrace", "bin", "cluster"), nil
}

// Outside is what runs a command, given as further arguments, that has a machine of its own in earnest: where the nodes
// are on this machine it weighs more than their daemons. Elsewhere it is empty.
func (c *Cluster) Outside() ([]string, error) {
	if !c.local {
		return nil, nil
	}
	tool, err := tool()
	return []string{tool, "outside"}, err
}

// Kubectl runs kubectl.
func (c *Cluster) Kubectl(ctx context.Context, stdin string, args ...string) (string, error) {
	return c.run(ctx, stdin, c.program("kubectl"), args...)
}

// Helm runs helm.
func (c *Cluster) Helm(ctx context.Context, args ...string) (string, error) {
	return c.run(ctx, "", c.program("helm"), args...)
}

// program is the one that hack/k8s built, or that of the PATH.
func (c *Cluster) program(name string) string {
	if cache, err := os.UserCacheDir(); err == nil {
		built := filepath.Join(cache, "millrace", "k8s", "current", name)
		if _, err := os.Stat(built); err == nil {
			return built
		}
	}
	return name
}

func (c *Cluster) run(ctx context.Context, stdin, program string, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, program, args...)
	cmd.Dir = c.Root
	cmd.Env = append(os.Environ(), "KUBECONFIG="+c.kubeconfig)
	if stdin != "" {
		cmd.Stdin = strings.NewReader(stdin)
	}
	var out, complaint bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &complaint
	if err := cmd.Run(); err != nil {
		return out.String(), fmt.Errorf(
			"%s %s: %w: %s",
			filepath.Base(program),
			strings.Join(args, " "),
			err,
			strings.TrimSpace(complaint.String()),
		)
	}
	return out.String(), nil
}

// Poll tries until it works or the time is over; the last failure is in the error.
func Poll(ctx context.Context, limit time.Duration, what string, try func(context.Context) error) error {
	return PollEvery(ctx, 100*time.Millisecond, limit, what, try)
}

// PollEvery is Poll for times that are measured.
func PollEvery(ctx context.Context, every, limit time.Duration, what string, try func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	tick := time.NewTicker(every)
	defer tick.Stop()
	var last error
	for {
		err := try(ctx)
		if err == nil {
			return nil
		}
		if ctx.Err() == nil || last == nil {
			last = err
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("waiting %s for %s: %w", limit, what, last)
		case <-tick.C:
		}
	}
}

// projectRoot is the folder with the module that the program is run in.
func projectRoot() (string, error) {
	dir, err := os.Getwd()
	if err != nil {
		return "", fmt.Errorf("finding the working folder: %w", err)
	}
	for at := dir; ; at = filepath.Dir(at) {
		if _, err := os.Stat(filepath.Join(at, "hack", "cluster.sh")); err == nil {
			return at, nil
		}
		if at == filepath.Dir(at) {
			return "", fmt.Errorf("no hack/cluster.sh above %s: run this inside of the project's folder", dir)
		}
	}
}
