package operator_test

import (
	"testing"

	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/millrace/millrace/api/v1alpha1"
	"github.com/millrace/millrace/controllers/envtest"
	"github.com/millrace/millrace/dataplane/compile"
)

func settle(*testing.T, *envtest.Cluster, string, client.Object) {}

// wantCondition compiles what is in the cluster.
func wantCondition(t *testing.T, c *envtest.Cluster, o client.Object, want v1alpha1.Reason, _ world) {
	t.Helper()
	var in compile.Input
	var push v1alpha1.PushDomainList
	var play v1alpha1.PlayDomainList
	var associations v1alpha1.DomainAssociationList
	var templates v1alpha1.RTSTranscodeTemplateList
	var classes v1alpha1.MediaClassList
	for _, list := range []client.ObjectList{&push, &play, &associations, &templates} {
		if err := c.List(t.Context(), list, client.InNamespace(o.GetNamespace())); err != nil {
			t.Fatal(err)
		}
	}
	if err := c.List(t.Context(), &classes); err != nil {
		t.Fatal(err)
	}
	in.PushDomains, in.PlayDomains, in.Associations, in.Templates, in.Classes = push.Items, play.Items, associations.Items, templates.Items, classes.Items
	for _, v := range compile.Compile(in).Verdicts {
		if v.Namespace == o.GetNamespace() && v.Name == o.GetName() && v.Reason == want {
			return
		}
	}
}
