package cluster

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/millrace/millrace/e2e/kube"
	"github.com/millrace/millrace/internal/contract"
)

// helm upgrade replaces the operator and leaves the media pods alone, whatever media image it brings. Everything
// applied again changes nothing.
func TestUpgradesLeaveMediaPodsAlone(t *testing.T) {
	onNodes(t)
	ctx, c := millrace(t)
	service(ctx, t, c, "kept", "")
	// The chart takes over what kustomize installed, as of the same tree.
	upgrade(ctx, t, c)
	// another test may have changed it
	if _, err := c.Kubectl(ctx, class, "apply", "--server-side", "--force-conflicts", "-f", "-"); err != nil {
		t.Fatal(err)
	}
	for _, role := range []contract.Role{contract.Ingest, contract.Relay} {
		if _, err := c.WaitPods(ctx, time.Minute, kube.MediaNamespace, pool(role), 2); err != nil {
			t.Fatal(err)
		}
	}
	settled(ctx, t, c)
	before, operators := uids(ctx, t, c, kube.MediaNamespace), uids(ctx, t, c, kube.OperatorNamespace)
	start := time.Now()
	next := []string{"--set", "operator.verbosity=1", "--set", "mediaImage.tag=the-next-one"}
	upgrade(ctx, t, c, next...)
	t.Logf("helm upgrade: the operator was replaced after %.1f s", time.Since(start).Seconds())
	ready(ctx, t, c, "kept", time.Minute)
	versions := settled(ctx, t, c)
	if diff := cmp.Diff(before, uids(ctx, t, c, kube.MediaNamespace)); diff != "" || before == "" {
		t.Errorf("other media pods (-before +after):\n%s", diff)
	}
	if operators == uids(ctx, t, c, kube.OperatorNamespace) {
		t.Error("the same operator pods: nothing was shown")
	}
	upgrade(ctx, t, c, next...)
	apply(ctx, t, c, manifests("kept", "kept", "")) // as the first time
	if _, err := c.Kubectl(ctx, class, "apply", "--server-side", "--force-conflicts", "-f", "-"); err != nil {
		t.Fatal(err)
	}
	pause(ctx, 3*time.Second)
	if diff := cmp.Diff(versions, settled(ctx, t, c)); diff != "" {
		t.Fatalf("applied again, something changed (-before +after):\n%s", diff)
	}
	t.Logf("applied again: the resourceVersions of %d objects are as before", strings.Count(versions, "\n"))
}

// upgrade runs helm with the images of this run, and waits for the operator.
func upgrade(ctx context.Context, t *testing.T, c *kube.Cluster, more ...string) {
	t.Helper()
	operator, operatorTag, _ := strings.Cut(strings.TrimPrefix(installed.images.Operator, "millrace.test/"), ":")
	media, mediaTag, _ := strings.Cut(strings.TrimPrefix(installed.images.Media, "millrace.test/"), ":")
	args := append([]string{
		"upgrade", "--install", "millrace", filepath.Join(c.Root, "charts", "millrace"), "--namespace",
		kube.OperatorNamespace, "--take-ownership", "--force-conflicts",
		"--set", "image.repository=millrace.test/" + operator, "--set", "image.tag=" + operatorTag,
		"--set", "mediaImage.repository=millrace.test/" + media, "--set", "mediaImage.tag=" + mediaTag,
	}, more...)
	if _, err := c.Helm(ctx, args...); err != nil {
		t.Fatal(err)
	}
	if err := c.WaitOperator(ctx, 90*time.Second); err != nil {
		t.Fatal(err)
	}
}

// uids are the pods of a namespace, one a line.
func uids(ctx context.Context, t *testing.T, c *kube.Cluster, namespace string) string {
	t.Helper()
	out, err := c.Kubectl(
		ctx,
		"",
		"-n",
		namespace,
		"get",
		"pods",
		"-l",
		contract.LabelName+"="+contract.Name,
		"--sort-by=.metadata.name",
		"-o",
		`jsonpath={range .items[*]}{.metadata.name} {.metadata.uid}{"\n"}{end}`,
	)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// settled returns the resourceVersions of all that is installed, of the class and of the domains, when they stand
// still.
func settled(ctx context.Context, t *testing.T, c *kube.Cluster) string {
	t.Helper()
	const form = `jsonpath={range .items[*]}{.kind} {.metadata.namespace}/{.metadata.name} {.metadata.resourceVersion}{"\n"}{end}`
	all := func(ctx context.Context) (string, error) {
		cluster, err := c.Kubectl(
			ctx,
			"",
			"get",
			"namespaces,customresourcedefinitions,clusterroles,clusterrolebindings,validatingwebhookconfigurations,mediaclasses,domainclaims",
			"-o",
			form,
		)
		for _, namespace := range []string{kube.OperatorNamespace, kube.MediaNamespace} {
			more, e := c.Kubectl(
				ctx,
				"",
				"-n",
				namespace,
				"get",
				"deployments,services,serviceaccounts,configmaps,roles,rolebindings,networkpolicies,poddisruptionbudgets",
				"-o",
				form,
			)
			secrets, e2 := c.Kubectl(ctx, "", "-n", namespace, "get", "secrets", "-l", "owner!=helm", "-o", form)
			cluster, err = cluster+more+secrets, errors.Join(err, e, e2)
		}
		tenant, e := c.Kubectl(ctx, "", "-n", "kept", "get", "pushdomains,playdomains,domainassociations,secrets", "-o", form)
		return cluster + tenant, errors.Join(err, e)
	}
	last := ""
	if err := kube.Poll(ctx, 90*time.Second, "nothing to change any more", func(ctx context.Context) error {
		now, err := all(ctx)
		if err != nil {
			return err
		}
		if before := last; now != before {
			last = now
			pause(ctx, 2*time.Second)
			return fmt.Errorf("it changes: %s", cmp.Diff(before, now))
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	return last
}
