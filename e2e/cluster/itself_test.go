package cluster

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/millrace/millrace/e2e/kube"
)

// echoPods are one pod on each node, a Service of TCP and UDP, and a pod that asks.
func echoPods(image string) string {
	return fmt.Sprintf(`
apiVersion: apps/v1
kind: DaemonSet
metadata: {name: echo, namespace: itself}
spec:
  selector: {matchLabels: {app: echo}}
  template:
    metadata: {labels: {app: echo}}
    spec:
      terminationGracePeriodSeconds: 2
      containers:
      - name: echo
        image: %[1]s
        args: [serve, "8080", "5353"]
        ports: [{name: http, containerPort: 8080}, {name: udp, containerPort: 5353, hostPort: 30999, protocol: UDP}]
        readinessProbe: {httpGet: {path: /, port: http}, periodSeconds: 1}
---
apiVersion: v1
kind: Service
metadata: {name: echo, namespace: itself}
spec:
  type: NodePort
  selector: {app: echo}
  ports: [{name: http, port: 80, targetPort: http}, {name: udp, port: 53, targetPort: udp, protocol: UDP}]
---
apiVersion: v1
kind: Pod
metadata: {name: asker, namespace: itself, labels: {app: asker}}
spec:
  terminationGracePeriodSeconds: 1
  containers: [{name: echo, image: %[1]s, args: [serve, "8080", "5353"]}]
`, image)
}

// The cluster itself: pods on three nodes, Services, host ports, DNS and NetworkPolicies; a node dies, is cut off, is
// shut down, and comes back.
func TestTheClusterItself(t *testing.T) {
	ctx, c := onNodes(t)
	image := echoImage(ctx, t, c)
	namespace(ctx, t, c, "itself")
	start := time.Now()
	apply(ctx, t, c, echoPods(image))
	pods, err := c.WaitPods(ctx, time.Minute, "itself", map[string]string{"app": "echo"}, 3)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.WaitPods(ctx, time.Minute, "itself", map[string]string{"app": "asker"}, 1); err != nil {
		t.Fatal(err)
	}
	t.Logf("pods on three nodes Ready after %.1f s", time.Since(start).Seconds())
	ask := func(args ...string) (string, error) {
		return c.Kubectl(ctx, "", append([]string{"-n", "itself", "exec", "asker", "--", "/echo"}, args...)...)
	}
	answers := func(what, want string, args ...string) {
		t.Helper()
		// After an outage of the API server CoreDNS watches again only after a back-off of up to a minute; until then it does
		// not know new Services.
		if err := kube.Poll(ctx, 2*time.Minute, what, func(context.Context) error {
			got, err := ask(args...)
			if err == nil && !strings.Contains(got, want) {
				err = fmt.Errorf("got %q", got)
			}
			return err
		}); err != nil {
			t.Error(err)
		}
	}
	answers("a Service over TCP, by its name", "echo-", "get", "http://echo.itself.svc.cluster.local/")
	answers("a Service over UDP, by its name", "echo-", "udp", "echo.itself.svc.cluster.local:53")
	for i := range pods {
		at := net.JoinHostPort(pods[i].Status.HostIP, "30999")
		if err := kube.Poll(ctx, 30*time.Second, "the host port of "+pods[i].Spec.NodeName, func(context.Context) error {
			return echoes(at, pods[i].Name)
		}); err != nil {
			t.Error(err)
		}
		answers("a pod on "+pods[i].Spec.NodeName, pods[i].Name, "get", "http://"+pods[i].Status.PodIP+":8080/")
	}
	t.Run("NetworkPolicy", func(t *testing.T) {
		apply(ctx, t, c, `
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: closed, namespace: itself}
spec:
  podSelector: {matchLabels: {app: echo}}
  policyTypes: [Ingress]
  ingress: [{from: [{podSelector: {matchLabels: {app: asker}}}], ports: [{port: http}]}]
`)
		for i := range pods {
			// The same node and others: UDP is refused, the named TCP port is not.
			if err := kube.Poll(ctx, 30*time.Second, "the policy to close UDP", func(context.Context) error {
				if _, err := ask("udp", pods[i].Status.PodIP+":5353"); err == nil {
					return errors.New("UDP is still answered")
				}
				return nil
			}); err != nil {
				t.Error(err)
			}
			answers("the port that the policy opens", pods[i].Name, "get", "http://"+pods[i].Status.PodIP+":8080/")
		}
	})
	t.Run("a node that is not asked", func(t *testing.T) {
		victim := otherNode(pods, asker(ctx, t, c).Spec.NodeName)
		for _, failure := range []struct{ how, mend string }{{"kill", "boot"}, {"partition", "heal"}, {"stop", "boot"}} {
			start := time.Now()
			mustTool(ctx, t, c, failure.how, victim)
			if err := c.WaitNode(ctx, time.Minute, victim, false); err != nil {
				t.Fatal(err)
			}
			gone := time.Since(start)
			answers("the Service without "+victim, "echo-", "get", "http://echo.itself.svc.cluster.local/")
			start = time.Now()
			mustTool(ctx, t, c, failure.mend, victim)
			if err := c.WaitNode(ctx, time.Minute, victim, true); err != nil {
				t.Fatal(err)
			}
			back := time.Since(start)
			if _, err := c.WaitPods(ctx, time.Minute, "itself", map[string]string{"app": "echo"}, 3); err != nil {
				t.Fatal(err)
			}
			t.Logf(
				"%s: not Ready after %.1f s; %s: Ready after %.1f s, its pod after %.1f s",
				failure.how,
				gone.Seconds(),
				failure.mend,
				back.Seconds(),
				time.Since(start).Seconds(),
			)
		}
	})
}

func asker(ctx context.Context, t *testing.T, c *kube.Cluster) *corev1.Pod {
	t.Helper()
	pods, err := c.Pods(ctx, "itself", map[string]string{"app": "asker"})
	if err != nil || len(pods) != 1 {
		t.Fatalf("%d pods that ask: %v", len(pods), err)
	}
	return &pods[0]
}

// otherNode is a node of one of the pods that is not the given one.
func otherNode(pods []corev1.Pod, node string) string {
	for i := range pods {
		if pods[i].Spec.NodeName != node {
			return pods[i].Spec.NodeName
		}
	}
	return ""
}

func mustTool(ctx context.Context, t *testing.T, c *kube.Cluster, args ...string) {
	t.Helper()
	if _, err := c.Tool(ctx, args...); err != nil {
		t.Fatal(err)
	}
}

// echoes sends a datagram from this machine and wants the named pod's answer.
func echoes(address, pod string) error {
	conn, err := net.DialTimeout("udp", address, time.Second)
	if err != nil {
		return err
	}
	defer conn.Close()
	conn.SetDeadline(time.Now().Add(time.Second))
	if _, err := conn.Write([]byte("hello")); err != nil {
		return err
	}
	buffer := make([]byte, 1500)
	n, err := conn.Read(buffer)
	if err == nil && string(buffer[:n]) != pod+" hello" {
		err = fmt.Errorf("answered %q, not by %s", buffer[:n], pod)
	}
	return err
}
