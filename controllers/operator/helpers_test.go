package operator_test

import (
	"errors"
	"os"
	"path/filepath"
	"testing"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/millrace/millrace/api/v1alpha1"
	"github.com/millrace/millrace/controllers/envtest"
	"github.com/millrace/millrace/internal/compile"
)

var errNotYet = errors.New("not yet")

// refusedFor reports whether the webhook refused an object for a reason.
func refusedFor(err error, reason v1alpha1.Reason) bool {
	var status apierrors.APIStatus
	if !errors.As(err, &status) || status.Status().Details == nil {
		return false
	}
	for _, cause := range status.Status().Details.Causes {
		if cause.Type == metav1.CauseType(reason) {
			return true
		}
	}
	return false
}

// classFile takes the default class out of the ConfigMap that config/default mounts into the operator.
func classFile(t *testing.T) string {
	t.Helper()
	var mounted corev1.ConfigMap
	if err := cluster.Get(t.Context(), client.ObjectKey{Namespace: "millrace-system", Name: "millrace-default-class"},
		&mounted); err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "class.yaml")
	if err := os.WriteFile(file, []byte(mounted.Data["class.yaml"]), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

// wantDefaultClass makes the class default, or makes it again what it was when a test has changed it.
func wantDefaultClass(t *testing.T, c *envtest.Cluster) {
	t.Helper()
	class := compile.DefaultClass()
	err := c.Create(t.Context(), &class)
	if apierrors.IsAlreadyExists(err) {
		err = c.Get(t.Context(), client.ObjectKeyFromObject(&class), &class)
		if err == nil {
			class.Spec = compile.DefaultClass().Spec
			err = c.Update(t.Context(), &class)
		}
	}
	if err != nil {
		t.Fatal(err)
	}
}
