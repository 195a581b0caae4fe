// Package envtest runs a real kube-apiserver and etcd with the project's CRDs for the tests of a package. There are no
// other controllers and no nodes: what a test does not do does not happen.
package envtest

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	"k8s.io/apimachinery/pkg/runtime"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/envtest"
	"sigs.k8s.io/yaml"

	"github.com/millrace/millrace/api/v1alpha1"
	"github.com/millrace/millrace/config"
	"github.com/millrace/millrace/internal/testkit"
)

// errMissing says that there is no kube-apiserver to run.
var errMissing = errors.New("there is no kube-apiserver: make envtest-assets builds one")

// Cluster is a kube-apiserver with its etcd.
type Cluster struct {
	client.Client // as the cluster's admin, past any cache
	Config        *rest.Config
	Assets        string // the folder of kube-apiserver, etcd and kubectl

	environment *envtest.Environment
}

// Main runs the tests of a package with one cluster, which it stores for them, and gives the exit status:
//
//	var cluster *envtest.Cluster
//
//	func TestMain(m *testing.M) { os.Exit(envtest.Main(m, &cluster)) }
//
// Without assets the tests run with nil, and skip by Need; with CI=true that is a failure.
func Main(m *testing.M, into **Cluster) int {
	c, err := Start()
	switch {
	case errors.Is(err, errMissing) && os.Getenv("CI") != "true":
		return m.Run()
	case err != nil:
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	*into = c
	status := m.Run()
	if err := c.Stop(); err != nil {
		fmt.Fprintln(os.Stderr, err)
	}
	return status
}

// Need skips a test when there is no cluster.
func Need(t *testing.T, c *Cluster) *Cluster {
	t.Helper()
	if c == nil {
		t.Skip(errMissing)
	}
	return c
}

// Start starts a cluster. Changes are made to its environment before it starts.
func Start(changes ...func(*envtest.Environment)) (*Cluster, error) {
	assets, err := findAssets()
	if err != nil {
		return nil, err
	}
	scheme := runtime.NewScheme()
	if err := errors.Join(clientgoscheme.AddToScheme(scheme), apiextensionsv1.AddToScheme(scheme),
		v1alpha1.AddToScheme(scheme)); err != nil {
		return nil, fmt.Errorf("register the kinds: %w", err)
	}
	crds, err := readCRDs()
	if err != nil {
		return nil, err
	}
	environment := &envtest.Environment{
		Scheme:                   scheme,
		CRDs:                     crds,
		BinaryAssetsDirectory:    assets,
		ControlPlaneStartTimeout: 2 * time.Minute, // the machine may be busy
		ControlPlaneStopTimeout:  time.Minute,
	}
	for _, change := range changes {
		change(environment)
	}
	rc, err := environment.Start()
	if err != nil {
		return nil, fmt.Errorf("start kube-apiserver and etcd of %s: %w", assets, errors.Join(err, environment.Stop()))
	}
	rc.QPS, rc.Burst = 1000, 2000
	c := &Cluster{Config: rc, Assets: assets, environment: environment}
	if c.Client, err = client.New(rc, client.Options{Scheme: scheme}); err != nil {
		return nil, errors.Join(fmt.Errorf("make a client: %w", err), environment.Stop())
	}
	return c, nil
}

// Stop ends both processes.
func (c *Cluster) Stop() error {
	if err := c.environment.Stop(); err != nil {
		return fmt.Errorf("stop kube-apiserver and etcd: %w", err)
	}
	return nil
}

// findAssets finds the folder of kube-apiserver and etcd.
func findAssets() (string, error) {
	folder, err := testkit.KubernetesAssets()
	if err != nil {
		return "", fmt.Errorf("find the cache folder: %w", err)
	}
	if _, err := os.Stat(filepath.Join(folder, "kube-apiserver")); err != nil {
		return "", fmt.Errorf("%w (looked into %s)", errMissing, folder)
	}
	return folder, nil
}

func readCRDs() ([]*apiextensionsv1.CustomResourceDefinition, error) {
	files, err := fs.Glob(config.CRDs, "crd/bases/*.yaml")
	if err != nil {
		return nil, err
	}
	var out []*apiextensionsv1.CustomResourceDefinition
	for _, file := range files {
		text, err := fs.ReadFile(config.CRDs, file)
		if err != nil {
			return nil, err
		}
		crd := &apiextensionsv1.CustomResourceDefinition{}
		if err := yaml.UnmarshalStrict(text, crd); err != nil {
			return nil, fmt.Errorf("read %s: %w", strings.TrimPrefix(file, "crd/bases/"), err)
		}
		out = append(out, crd)
	}
	return out, nil
}
