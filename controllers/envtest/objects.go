package envtest

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/envtest"
)

// Namespace makes a namespace for a test.
func (c *Cluster) Namespace(t *testing.T, labels map[string]string) string {
	t.Helper()
	ns := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{GenerateName: "test-", Labels: labels}}
	c.Make(t, ns)
	return ns.Name
}

// Make creates objects and wants that it works.
func (c *Cluster) Make(t *testing.T, objects ...client.Object) {
	t.Helper()
	for _, o := range objects {
		if err := c.Create(t.Context(), o); err != nil {
			t.Fatalf("create %T %s: %v", o, client.ObjectKeyFromObject(o), err)
		}
	}
}

// As returns a configuration of a user, who may do what RBAC lets him.
func (c *Cluster) As(t *testing.T, user string, groups ...string) *rest.Config {
	t.Helper()
	u, err := c.environment.AddUser(envtest.User{Name: user, Groups: groups}, &rest.Config{QPS: 1000, Burst: 2000})
	if err != nil {
		t.Fatalf("make user %s: %v", user, err)
	}
	return u.Config()
}

// AsServiceAccount returns a configuration of a service account.
func (c *Cluster) AsServiceAccount(t *testing.T, namespace, name string) *rest.Config {
	t.Helper()
	return c.As(
		t,
		"system:serviceaccount:"+namespace+":"+name,
		"system:serviceaccounts",
		"system:serviceaccounts:"+namespace,
		"system:authenticated",
	)
}

// Kubeconfig writes a file with which programs come into the cluster as its admin.
func (c *Cluster) Kubeconfig(t *testing.T) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "kubeconfig")
	if err := os.WriteFile(file, c.environment.KubeConfig, 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

// Kubectl runs kubectl as the cluster's admin and gives what it prints, errors too.
func (c *Cluster) Kubectl(t *testing.T, args ...string) (string, error) {
	t.Helper()
	command := exec.CommandContext(t.Context(), filepath.Join(c.Assets, "kubectl"), args...)
	command.Env = append(os.Environ(), "KUBECONFIG="+c.Kubeconfig(t))
	var out bytes.Buffer
	command.Stdout, command.Stderr = &out, &out
	err := command.Run()
	return out.String(), err
}
