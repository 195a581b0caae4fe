package cluster

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/millrace/millrace/dataplane/pod"
	"github.com/millrace/millrace/e2e/kube"
	"github.com/millrace/millrace/internal/contract"
)

// long reports whether the long forms of tests are asked for.
func long() bool { return os.Getenv("E2E_LONG") == "1" }

// A relay pod goes: official SDKs that watch have pictures from another one, or from the same one started again.
func TestRelayPodGoneViewersPlayAgain(t *testing.T) {
	onNodes(t)
	ctx, c := millrace(t)
	service(ctx, t, c, "gone", "")
	publish(ctx, t, c, "gone", "cam", small())
	ways := []string{"deleted", "process killed", "container killed"}
	if long() {
		ways = append(ways, ways...)
	}
	for _, way := range ways {
		t.Run(way, func(t *testing.T) {
			relays, err := c.WaitPods(ctx, 2*time.Minute, kube.MediaNamespace, pool(contract.Relay), 2)
			if err != nil {
				t.Fatal(err)
			}
			v := watch(ctx, t, c, 4, sdkReturn, signed(t, "gone", "cam", ""))
			victim, watched := busiest(ctx, t, c, relays)
			if watched == 0 {
				t.Fatal("nobody watches from a relay that can go")
			}
			start := time.Now()
			settle := 12 * time.Second
			switch way {
			case "deleted":
				if _, err := c.Kubectl(ctx, "", "-n", kube.MediaNamespace, "delete", "pod", victim.Name,
					"--wait=false"); err != nil {
					t.Fatal(err)
				}
				settle = 20*time.Second + afterwards // a drain takes so long, and leaves viewers alone for half of it
			case "process killed":
				kill(ctx, t, c, victim)
			case "container killed":
				killContainer(ctx, t, c, victim)
			}
			pause(ctx, settle)
			if way == "container killed" {
				said, err := c.Kubectl(ctx, "", "-n", kube.MediaNamespace, "logs", victim.Name, "-c", contract.CommandFarewell)
				if err != nil || !strings.Contains(said, "were told to come again") {
					t.Errorf("what runs beside the relay told nobody: %v: %s", err, said)
				}
			}
			gaps, offers := frozen(t, v.end(), start)
			t.Logf(
				"relay %s: viewers asked again %d times; longest time of each without a new picture %v (0: below 300 ms)",
				way,
				offers,
				gaps,
			)
			if offers == 0 {
				t.Error("nobody asked again: nothing was shown")
			}
		})
	}
}

// A node is cut off with a relay on it: official SDKs that watch from there have pictures from the other one. What
// tells them is their own browser.
func TestNodeCutOffViewersPlayAgain(t *testing.T) {
	onNodes(t)
	ctx, c := millrace(t)
	service(ctx, t, c, "cut", "")
	relays, err := c.WaitPods(ctx, 2*time.Minute, kube.MediaNamespace, pool(contract.Relay), 2)
	if err != nil {
		t.Fatal(err)
	}
	throughAnother(ctx, t, c, relays)
	publish(ctx, t, c, "cut", "cam", small())
	source := ingestPod(ctx, t, c, live(ctx, t, c, "cut", "cam")).Spec.NodeName
	var away []corev1.Pod
	for i := range relays {
		if relays[i].Spec.NodeName != source { // without its source nothing would be shown
			away = append(away, relays[i])
		}
	}
	if len(away) == 0 {
		t.Fatalf("all relays are on %s, with their source", source)
	}
	var v *viewers
	on, elsewhere := 0, ""
	for try := 0; on == 0; try++ { // chance leads each viewer to a relay
		if try == 5 {
			t.Fatal("nobody watches from a relay that can be cut off")
		}
		if v != nil {
			v.end()
		}
		v = watch(ctx, t, c, 4, sdkReturn, signed(t, "cut", "cam", ""))
		var victim *corev1.Pod
		victim, on = busiest(ctx, t, c, away)
		elsewhere = victim.Spec.NodeName
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
		defer cancel()
		_, err := c.Tool(ctx, "heal", elsewhere)
		if err := errors.Join(err, c.WaitNode(ctx, time.Minute, elsewhere, true)); err != nil {
			t.Error(err)
		}
	})
	start := time.Now()
	mustTool(ctx, t, c, "partition", elsewhere)
	if err := c.WaitNode(ctx, time.Minute, elsewhere, false); err != nil {
		t.Fatal(err)
	}
	known := time.Since(start)
	pause(ctx, 45*time.Second)
	gaps, offers := frozen(t, v.end(), start)
	t.Logf(
		"%s cut off with %d of 4 viewers, not Ready after %.1f s: viewers asked again %d times; longest time of each "+
			"without a new picture %v (0: below 300 ms)",
		elsewhere,
		on,
		known.Seconds(),
		offers,
		gaps,
	)
	if offers == 0 {
		t.Error("nobody asked again: nothing was shown")
	}
}

// throughAnother leads this machine to Services, until the test ends, by way of a node that has none of the pods: one
// that is not about to be cut off.
func throughAnother(ctx context.Context, t *testing.T, c *kube.Cluster, pods []corev1.Pod) {
	t.Helper()
	nodes, err := c.Nodes(ctx)
	if err != nil {
		t.Fatal(err)
	}
	for i := range pods {
		delete(nodes, pods[i].Spec.NodeName)
	}
	if len(nodes) == 0 {
		t.Fatal("no node is without a relay: this machine would cut its own way")
	}
	mustTool(ctx, t, c, "route", slices.Min(slices.Collect(maps.Keys(nodes))))
	t.Cleanup(func() {
		if _, err := c.Tool(context.WithoutCancel(ctx), "route", "node1"); err != nil {
			t.Error(err)
		}
	})
}

// An ingest pod is killed: when the encoder is back on another, viewers go on without having asked again.
func TestIngestPodKilledViewersContinue(t *testing.T) {
	onNodes(t)
	ctx, c := millrace(t)
	service(ctx, t, c, "source", "")
	p := publish(ctx, t, c, "source", "cam", small())
	v := watch(ctx, t, c, 2, sdkReturn, signed(t, "source", "cam", ""))
	ingest := ingestPod(ctx, t, c, live(ctx, t, c, "source", "cam"))
	start := time.Now()
	kill(ctx, t, c, ingest)
	select {
	case <-p.Done():
	case <-ctx.Done():
		t.Fatal("the encoder was not cut off")
	}
	publish(ctx, t, c, "source", "cam", small())
	back := time.Since(start)
	pause(ctx, afterwards)
	gaps, offers := frozen(t, v.end(), start)
	t.Logf(
		"ingest killed: the encoder was back after %.1f s; longest time of each viewer without a new picture %v",
		back.Seconds(),
		gaps,
	)
	if offers != 0 {
		t.Errorf("viewers asked again %d times", offers)
	}
}

// serving is the identity, in its node's containerd, of the container of a pod that serves.
func serving(t *testing.T, p *corev1.Pod) string {
	t.Helper()
	for i := range p.Status.ContainerStatuses {
		if c := &p.Status.ContainerStatuses[i]; c.Name == contract.Name {
			return strings.TrimPrefix(c.ContainerID, "containerd://")
		}
	}
	t.Fatalf("pod %s has no container %s", p.Name, contract.Name)
	return ""
}

// kill ends the process of a pod that serves with SIGKILL, from its node. The first process of the container is its
// parent and stays.
func kill(ctx context.Context, t *testing.T, c *kube.Cluster, p *corev1.Pod) {
	t.Helper()
	id := serving(t, p)
	const script = `p=$(ctr -n k8s.io tasks ls | awk -v id="$0" '$1 == id {print $2}'); n=0
		for c in $(ps -o pid= --ppid $p); do kill -9 $c && n=1; done; [ $n = 1 ]`
	mustTool(ctx, t, c, "exec", p.Spec.NodeName, "sh", "-c", script, id)
}

// killContainer ends the first process of a pod's container with SIGKILL, from its node: all others of the container go
// with it.
func killContainer(ctx context.Context, t *testing.T, c *kube.Cluster, p *corev1.Pod) {
	t.Helper()
	id := serving(t, p)
	mustTool(ctx, t, c, "exec", p.Spec.NodeName, "ctr", "-n", "k8s.io", "tasks", "kill", "-s", "SIGKILL", id)
}

// stateOf is what a pod says of itself. It is asked from the pod's node: nobody else may.
func stateOf(ctx context.Context, c *kube.Cluster, p *corev1.Pod) (s pod.State, err error) {
	out, err := c.Tool(
		ctx,
		"exec",
		p.Spec.NodeName,
		"curl",
		"-sS",
		"--max-time",
		"5",
		fmt.Sprintf("http://%s:%d%s", p.Status.PodIP, contract.PortAdmin, contract.PathState),
	)
	if err != nil {
		return s, err
	}
	if err := json.Unmarshal([]byte(out), &s); err != nil {
		return s, fmt.Errorf("reading the state of pod %s: %w", p.Name, err)
	}
	return s, nil
}

// busiest is the pod with the most viewers, and how many.
func busiest(ctx context.Context, t *testing.T, c *kube.Cluster, pods []corev1.Pod) (*corev1.Pod, int) {
	t.Helper()
	best, most := 0, -1
	for i := range pods {
		s, err := stateOf(ctx, c, &pods[i])
		if err != nil {
			t.Fatal(err)
		}
		if s.Status.Sessions > most {
			best, most = i, s.Status.Sessions
		}
	}
	return &pods[best], most
}
