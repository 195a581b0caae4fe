package cluster

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/millrace/millrace/api/v1alpha1"
	"github.com/millrace/millrace/dataplane/urlauth"
	"github.com/millrace/millrace/e2e/browser"
	"github.com/millrace/millrace/e2e/kube"
	"github.com/millrace/millrace/internal/contract"
	"github.com/millrace/millrace/internal/contract/plan"
	"github.com/millrace/millrace/internal/testsrc"
)

// class is the MediaClass of these tests: two pods of the roles that take part, and drains that end within a test.
const class = `
apiVersion: live.millrace.dev/v1alpha1
kind: MediaClass
metadata: {name: default}
spec:
  region: default
  claims: Always
  rts: {namespaceSelector: {}}
  pools:
    ingest: {replicas: 2, drainSeconds: 20}
    relay: {replicas: 2, drainSeconds: 20}
    edge: {replicas: 2, drainSeconds: 20}
    transcoder: {replicas: 2, drainSeconds: 20}
`

// manifests are a push domain and an RTS play domain in a namespace; the play URLs are signed where there is a key.
func manifests(namespace, suffix, key string) string {
	auth := ""
	if key != "" {
		auth = ", auth: {type: A, secretRef: {name: keys}}"
	}
	return fmt.Sprintf(`
apiVersion: v1
kind: Secret
metadata: {name: keys, namespace: %[1]s}
stringData: {primary: "%[4]s"}
---
apiVersion: live.millrace.dev/v1alpha1
kind: PushDomain
metadata: {name: push, namespace: %[1]s}
spec: {hostname: push-%[2]s.example.com, duplicatePublish: ReplaceOld}
---
apiVersion: live.millrace.dev/v1alpha1
kind: PlayDomain
metadata: {name: rts, namespace: %[1]s}
spec: {hostname: rts-%[2]s.example.com, type: RTS%[3]s}
---
apiVersion: live.millrace.dev/v1alpha1
kind: DomainAssociation
metadata: {name: push-to-rts, namespace: %[1]s}
spec: {type: PushToPlay, pushDomainRef: {name: push}, mainPlayDomainRef: {name: rts}}
`, namespace, suffix, auth, key)
}

// once keeps what all tests of this run share: Millrace is installed once.
type once struct {
	sync.Once
	images kube.Images
	err    error
}

var installed once

// installLimit bounds what comes before the first test: everything is compiled where nothing has been yet.
const installLimit = 20 * time.Minute

// millrace returns a test the cluster with Millrace of this tree on it. The test's time begins when it is there.
func millrace(t *testing.T) (context.Context, *kube.Cluster) {
	t.Helper()
	_, c := on(t)
	installed.Do(func() {
		ctx, cancel := context.WithTimeout(t.Context(), installLimit)
		defer cancel()
		installed.err = installed.install(ctx, t, c)
	})
	if installed.err != nil {
		t.Fatal(installed.err)
	}
	return on(t)
}

func (o *once) install(ctx context.Context, t *testing.T, c *kube.Cluster) (err error) {
	t.Helper()
	start := time.Now()
	if o.images, err = c.BuildImages(ctx, ""); err != nil {
		return err
	}
	built := time.Since(start)
	if err := c.Install(ctx, o.images); err != nil {
		return err
	}
	t.Logf(
		"images built and loaded in %.1f s, installed in %.1f s",
		built.Seconds(),
		(time.Since(start) - built).Seconds(),
	)
	if err := renew(ctx, c, o.images.Media); err != nil {
		return err
	}
	if err := kube.Poll(ctx, time.Minute, "the MediaClass to be taken", func(ctx context.Context) error {
		_, err := c.Kubectl(ctx, class, "apply", "--server-side", "--force-conflicts", "-f", "-")
		return err
	}); err != nil {
		return err
	}
	return renewed(ctx, c)
}

// renewed waits until the pods are those of the class as it is now: where an earlier run left another one, they are
// replaced.
func renewed(ctx context.Context, c *kube.Cluster) error {
	return kube.Poll(ctx, 2*time.Minute, "the pods to be those of the class", func(ctx context.Context) error {
		var now v1alpha1.MediaClass
		if err := c.Get(ctx, client.ObjectKey{Name: "default"}, &now); err != nil {
			return err
		}
		if now.Status.ObservedGeneration != now.Generation {
			return errors.New("the class was not looked at yet")
		}
		var pools appsv1.DeploymentList
		if err := c.List(ctx, &pools, client.InNamespace(kube.MediaNamespace),
			client.MatchingLabels{contract.LabelClass: "default"}); err != nil {
			return err
		}
		for i := range pools.Items {
			d := &pools.Items[i]
			if s := d.Status; s.ObservedGeneration != d.Generation || s.UpdatedReplicas != s.Replicas {
				return fmt.Errorf("%s has %d pods, %d of them new", d.Name, s.Replicas, s.UpdatedReplicas)
			}
		}
		return nil
	})
}

// renew removes a class that an earlier run left, with its pods: it would keep the image that it began with, and other
// code would be tested.
func renew(ctx context.Context, c *kube.Cluster, media string) error {
	image, err := c.Kubectl(
		ctx,
		"",
		"get",
		"mediaclass",
		"default",
		"--ignore-not-found",
		"-o",
		"jsonpath={.status.image}",
	)
	if err != nil || image == "" || image == media {
		return err
	}
	_, err = c.Kubectl(ctx, "", "delete", "mediaclass", "default", "--timeout=60s")
	_, gone := c.Kubectl(
		ctx,
		"",
		"-n",
		kube.MediaNamespace,
		"delete",
		"deployments",
		"-l",
		contract.LabelClass+"=default",
		"--timeout=60s",
	)
	return errors.Join(err, gone)
}

// service applies the manifests of a service in a namespace of its own and waits until all is Ready.
func service(ctx context.Context, t *testing.T, c *kube.Cluster, name, key string) {
	t.Helper()
	namespace(ctx, t, c, name)
	start := time.Now()
	apply(ctx, t, c, manifests(name, name, key))
	ready(ctx, t, c, name, 2*time.Minute)
	t.Logf("%s: all Ready after %.1f s", name, time.Since(start).Seconds())
	for _, role := range []contract.Role{contract.Ingest, contract.Relay} {
		if _, err := c.WaitPods(ctx, 2*time.Minute, kube.MediaNamespace, pool(role), 2); err != nil {
			t.Fatal(err)
		}
	}
}

// ready waits until all tenant objects of a namespace are Ready.
func ready(ctx context.Context, t *testing.T, c *kube.Cluster, namespace string, limit time.Duration) {
	t.Helper()
	if err := kube.Poll(ctx, limit, "all objects of "+namespace+" to be Ready", func(ctx context.Context) error {
		out, err := c.Kubectl(ctx, "", "-n", namespace, "get",
			"pushdomains,playdomains,domainassociations,rtstranscodetemplates", "-o",
			`jsonpath={range .items[*]}{.kind}/{.metadata.name} {.status.conditions[?(@.type=="Ready")].status} {.status.conditions[?(@.type=="Ready")].reason}{"\n"}{end}`)
		if err != nil {
			return err
		}
		var waits []string
		for line := range strings.Lines(out) {
			if !strings.Contains(line, " True ") {
				waits = append(waits, strings.TrimSpace(line))
			}
		}
		if len(waits) > 0 || out == "" {
			return fmt.Errorf("not Ready: %s", strings.Join(waits, ", "))
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
}

func pool(role contract.Role) map[string]string {
	return map[string]string{contract.LabelClass: "default", contract.LabelRole: string(role)}
}

// playSDK plays a URL with the official SDK for 3 s, at the scenario's address, and wants a proper picture.
func playSDK(ctx context.Context, t *testing.T, at browser.Scenario, url string) browser.SDKResult {
	t.Helper()
	at.TimeoutSeconds = 90
	at.Steps = []browser.Step{
		{Kind: browser.SDK, Version: sdkPlain, PageScheme: "http", URL: url, WatchSeconds: 3, LimitSeconds: 60},
	}
	raw, err := browser.Drive(ctx, at, nil)
	if err != nil {
		t.Fatal(err)
	}
	var r browser.SDKResult
	if err := json.Unmarshal(raw[0], &r); err != nil {
		t.Fatal(err)
	}
	if !r.Playing || r.Width != 320 || r.Frames < 20 {
		t.Fatalf("no proper picture: %+v", r)
	}
	return r
}

// ingestPod is the ingest pod of a name.
func ingestPod(ctx context.Context, t *testing.T, c *kube.Cluster, name string) *corev1.Pod {
	t.Helper()
	ingests, err := c.Pods(ctx, kube.MediaNamespace, pool(contract.Ingest))
	if err != nil {
		t.Fatal(err)
	}
	i := slices.IndexFunc(ingests, func(p corev1.Pod) bool { return p.Name == name })
	if i < 0 {
		t.Fatalf("no ingest pod %q", name)
	}
	return &ingests[i]
}

// address is that of a Service's port, as this machine reaches it.
func address(ctx context.Context, t *testing.T, c *kube.Cluster, role contract.Role, port string) string {
	t.Helper()
	var s corev1.Service
	if err := c.Get(ctx, client.ObjectKey{Namespace: kube.MediaNamespace, Name: contract.PoolName("default", role)},
		&s); err != nil {
		t.Fatal(err)
	}
	for _, p := range s.Spec.Ports {
		if p.Name == port {
			return net.JoinHostPort(s.Spec.ClusterIP, fmt.Sprint(p.Port))
		}
	}
	t.Fatalf("Service %s has no port %s", s.Name, port)
	return ""
}

// publish starts ffmpeg against an ingest and waits until the relay has the stream.
func publish(
	ctx context.Context,
	t *testing.T,
	c *kube.Cluster,
	service, stream string,
	o testsrc.Options,
) *testsrc.Publisher {
	t.Helper()
	o.URL = fmt.Sprintf(
		"rtmp://%s/live/%s?vhost=push-%s.example.com",
		address(ctx, t, c, contract.Ingest, contract.NameRTMP),
		stream,
		service,
	)
	p, err := testsrc.Publish(ctx, o)
	if err != nil {
		t.Fatal(err)
	}
	at := address(ctx, t, c, contract.Relay, contract.NameHTTP)
	if err := kube.Poll(ctx, time.Minute, stream+" to be playable", func(context.Context) error {
		select {
		case <-p.Done():
			// A Service is some seconds behind the pods that have just come; encoders try again too.
			said := p.Output()
			if p, err = testsrc.Publish(ctx, o); err != nil {
				t.Fatal(err)
			}
			return fmt.Errorf("the publisher has ended: %s", said)
		default:
		}
		switch status, err := offer(ctx, at, "rts-"+service+".example.com", "/live/"+stream); {
		case err != nil:
			return err
		case status == http.StatusBadRequest, status == http.StatusUnsupportedMediaType, status == http.StatusForbidden:
			return nil
		default:
			return fmt.Errorf("status %d", status)
		}
	}); err != nil {
		t.Fatal(err)
	}
	return p
}

// offer asks a relay for a stream with an offer that cannot be answered, and gives the status: 400 or 415 for a stream
// that is there.
func offer(ctx context.Context, at, host, path string) (int, error) {
	ctx, cancel := context.WithTimeout(ctx, 3*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://"+at+path, strings.NewReader("v=0\r\n"))
	if err != nil {
		return 0, err
	}
	req.Host = host
	req.Header.Set("Content-Type", "application/sdp")
	res, err := (&http.Client{Transport: &http.Transport{DisableKeepAlives: true}}).Do(req)
	if err != nil {
		return 0, err
	}
	res.Body.Close()
	return res.StatusCode, nil
}

// signed signs an artc URL of a service with a key.
func signed(t *testing.T, service, stream, key string) string {
	t.Helper()
	u, err := url.Parse("artc://rts-" + service + ".example.com/live/" + stream)
	if err != nil || key == "" {
		return u.String()
	}
	s, err := urlauth.Sign(plan.Auth{Type: plan.AuthA, Primary: key}, u, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	return s.String()
}

// The whole way on pods: ffmpeg publishes through the ingest Service, and the official SDK plays from relays on other
// nodes, over UDP.
func TestSDKPlaysFromARelayOnAnotherNode(t *testing.T) {
	ctx, c := millrace(t)
	service(ctx, t, c, "way", "")
	publish(ctx, t, c, "way", "cam", testsrc.Options{Width: 320, Height: 180, FPS: 15, BitrateKbps: 300})
	ingest := live(ctx, t, c, "way", "cam")
	relays, err := c.Pods(ctx, kube.MediaNamespace, pool(contract.Relay))
	if err != nil {
		t.Fatal(err)
	}
	var ingests []corev1.Pod
	if ingests, err = c.Pods(ctx, kube.MediaNamespace, pool(contract.Ingest)); err != nil {
		t.Fatal(err)
	}
	node := ""
	for i := range ingests {
		if ingests[i].Name == ingest {
			node = ingests[i].Spec.NodeName
		}
	}
	other := otherNode(relays, node)
	if node == "" || other == "" {
		t.Fatalf("ingest pod %q on %q: no relay on another node", ingest, node)
	}
	for i := range relays {
		if relays[i].Spec.NodeName != other {
			continue
		}
		r := playSDK(
			ctx,
			t,
			browser.Scenario{Address: relays[i].Status.PodIP, HTTPPort: contract.PortHTTP, HTTPSPort: contract.PortHTTPS},
			signed(t, "way", "cam", ""),
		)
		t.Logf("ingest on %s, relay on %s: first picture after %.0f ms, %d frames", node, other, r.FirstFrameMs, r.Frames)
	}
}

// live waits for the LiveStream of a stream and gives the pod that has the encoder.
func live(ctx context.Context, t *testing.T, c *kube.Cluster, service, stream string) string {
	t.Helper()
	return liveOf(ctx, t, c, "push-"+service+".example.com", stream)
}

// liveOf is live for a push domain.
func liveOf(ctx context.Context, t *testing.T, c *kube.Cluster, domain, stream string) string {
	t.Helper()
	pod := ""
	if err := kube.Poll(ctx, 30*time.Second, "a LiveStream of "+stream, func(ctx context.Context) error {
		out, err := c.Kubectl(ctx, "", "get", "livestreams", "-A", "-o",
			`jsonpath={range .items[*]}{.spec.pushDomain}/{.spec.stream}={.status.pod}{"\n"}{end}`)
		if err != nil {
			return err
		}
		for line := range strings.Lines(out) {
			if name, ok := strings.CutPrefix(strings.TrimSpace(line), domain+"/"+stream+"="); ok && name != "" {
				pod = name
				return nil
			}
		}
		return errors.New("there is none with a pod: " + out)
	}); err != nil {
		t.Fatal(err)
	}
	return pod
}
