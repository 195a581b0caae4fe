package cluster

import (
	"context"
	"fmt"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/millrace/millrace/e2e/kube"
	"github.com/millrace/millrace/internal/contract"
	"github.com/millrace/millrace/internal/testsrc"
)

// What examples/existing-service names and signs with.
const (
	examplePushKey = "exampleOnlyPushPrimary1"
	examplePlayKey = "exampleOnlyPlayPrimary1"
	examplePlay    = "play.example.com"
)

// existing applies examples/existing-service as it is and publishes a stream through the ingest Service. It gives the
// node of the ingest pod that has the encoder.
func existing(ctx context.Context, t *testing.T, c *kube.Cluster) (node string) {
	t.Helper()
	namespace(ctx, t, c, "live")
	start := time.Now()
	if _, err := c.Kubectl(ctx, "", "apply", "-f", "examples/existing-service"); err != nil {
		t.Fatal(err)
	}
	ready(ctx, t, c, "live", 2*time.Minute)
	t.Logf("examples/existing-service: all Ready after %.1f s", time.Since(start).Seconds())
	for _, role := range []contract.Role{contract.Ingest, contract.Relay, contract.Edge} {
		if _, err := c.WaitPods(ctx, 2*time.Minute, kube.MediaNamespace, pool(role), 2); err != nil {
			t.Fatal(err)
		}
	}
	o := small()
	o.URL = sign(
		fmt.Sprintf("rtmp://%s/live/cam?vhost=push.example.com", address(ctx, t, c, contract.Ingest, contract.NameRTMP)),
		examplePushKey,
	)
	at := apart{rts: address(ctx, t, c, contract.Relay, contract.NameHTTP)}
	// the publisher outlives the waiting
	if err := kube.Poll(ctx, time.Minute, "the stream to be playable", func(context.Context) error {
		p, err := testsrc.Publish(ctx, o)
		if err != nil {
			return err
		}
		for end := time.Now().Add(10 * time.Second); time.Now().Before(end); pause(ctx, 200*time.Millisecond) {
			if at.whep(ctx, "rts", "/live/cam", examplePlayKey) == "found" {
				return nil
			}
		}
		p.Kill()
		return fmt.Errorf("it is not there: %s", p.Output())
	}); err != nil {
		t.Fatal(err)
	}
	return ingestPod(ctx, t, c, liveOf(ctx, t, c, "push.example.com", "cam")).Spec.NodeName
}

// The service that has standard play and gets RTS: RTMP, HTTP-FLV, HLS and low-latency HLS come from an edge pod on
// another node than the ingest pod while an official SDK plays from a relay pod. Edge pods go, and readers that connect
// again play again.
func TestExistingServicePlaysFromEdgePods(t *testing.T) {
	onNodes(t)
	ctx, c := millrace(t)
	node := existing(ctx, t, c)
	edges, err := c.Pods(ctx, kube.MediaNamespace, pool(contract.Edge))
	if err != nil {
		t.Fatal(err)
	}
	i := slices.IndexFunc(edges, func(p corev1.Pod) bool { return p.Spec.NodeName != node })
	if i < 0 {
		t.Fatalf("no edge pod on another node than %s", node)
	}
	edge := edges[i]
	t.Logf("ingest on %s, edge on %s", node, edge.Spec.NodeName)
	v := watch(ctx, t, c, 1, sdkPlain, sign("artc://rts.example.com/live/cam", examplePlayKey))
	watched := time.Now()
	for name, raw := range map[string]string{
		"FLV":               fmt.Sprintf("http://%s:%d/live/cam.flv", edge.Status.PodIP, contract.PortHTTP),
		"HLS (MPEG-TS)":     fmt.Sprintf("http://%s:%d/live/cam.m3u8?format=ts", edge.Status.PodIP, contract.PortHTTP),
		"HLS (fMP4, parts)": fmt.Sprintf("http://%s:%d/live/cam.m3u8", edge.Status.PodIP, contract.PortHTTP),
		"RTMP":              fmt.Sprintf("rtmp://%s:%d/live/cam?vhost=%s", edge.Status.PodIP, contract.PortRTMP, examplePlay),
	} {
		t.Run(name, func(t *testing.T) { decode(ctx, t, sign(raw, examplePlayKey)) })
	}
	gaps, offers := frozen(t, v.end(), watched)
	t.Logf("meanwhile RTS: longest time without a new picture %v", gaps)
	if offers != 0 {
		t.Errorf("the RTS viewer asked again %d times", offers)
	}
	at := address(ctx, t, c, contract.Edge, contract.NameHTTP)
	for _, way := range []string{"killed", "deleted without grace"} {
		t.Run("edge "+way, func(t *testing.T) {
			edges, err := c.WaitPods(ctx, 2*time.Minute, kube.MediaNamespace, pool(contract.Edge), 2)
			if err != nil {
				t.Fatal(err)
			}
			crowd := readFLVs(ctx, t, 20, at, examplePlay, apart{}.path("/live/cam.flv", examplePlayKey))
			victim, reading := busiest(ctx, t, c, edges)
			if reading == 0 {
				t.Fatal("nobody reads from an edge pod")
			}
			start := time.Now()
			if way == "killed" {
				kill(ctx, t, c, victim)
			} else if _, err := c.Kubectl(ctx, "", "-n", kube.MediaNamespace, "delete", "pod", victim.Name, "--grace-period=0",
				"--force", "--wait=false"); err != nil {
				t.Fatal(err)
			}
			pause(ctx, 5*time.Second)
			if err := kube.Poll(ctx, 30*time.Second, "all readers to play again",
				func(context.Context) error { return crowd.playing(time.Now().Add(-longGap)) }); err != nil {
				t.Error(err)
			}
			longest, again := crowd.since(start)
			t.Logf(
				"edge %s: %d FLV readers connected again %d times; longest time of a reader without a new picture: p50 %v, max "+
					"%v (0: below 300 ms)",
				way,
				len(longest),
				again,
				quantile(longest, 0.5).Round(time.Millisecond),
				quantile(longest, 1).Round(time.Millisecond),
			)
			if again == 0 {
				t.Error("nobody had to connect again: nothing was shown")
			}
		})
	}
}

// decode has ffmpeg decode some seconds of a URL, and wants no complaint and a picture of the source's size.
func decode(ctx context.Context, t *testing.T, raw string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	var host []string
	if strings.HasPrefix(raw, "http") {
		host = []string{"-headers", "Host: " + examplePlay + "\r\n"}
	}
	probe := exec.CommandContext(
		ctx,
		"ffprobe",
		append(
			append([]string{"-v", "error"}, host...),
			"-show_entries",
			"stream=codec_name,width,height",
			"-of",
			"csv=p=0",
			raw,
		)...)
	found, err := probe.Output()
	if err != nil || !strings.Contains(string(found), "h264,320,180") {
		t.Fatalf("ffprobe of %s: %v: %s", raw, err, found)
	}
	play := exec.CommandContext(
		ctx,
		"ffmpeg",
		append(append([]string{"-v", "error", "-xerror"}, host...), "-i", raw, "-frames:v", "60", "-f", "null", "-")...)
	start := time.Now()
	if said, err := play.CombinedOutput(); err != nil || len(said) > 0 {
		t.Fatalf("ffmpeg plays %s: %v: %s", raw, err, said)
	}
	t.Logf(
		"%s; 60 pictures decoded in %.1f s",
		strings.Join(strings.Fields(string(found)), ", "),
		time.Since(start).Seconds(),
	)
}
