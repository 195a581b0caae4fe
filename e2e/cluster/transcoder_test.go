package cluster

import (
	"context"
	"fmt"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/millrace/millrace/e2e/browser"
	"github.com/millrace/millrace/e2e/kube"
	"github.com/millrace/millrace/internal/contract"
)

// rendition is a template of a service's RTS domain.
const rendition = `
apiVersion: live.millrace.dev/v1alpha1
kind: RTSTranscodeTemplate
metadata: {name: hd, namespace: %s}
spec: {playDomainRef: {name: rts}, templateID: rts-hd, type: H264, video: {width: 1280, height: 720, fps: 30, bitrateKbps: 600, bFrames: Drop}, audio: {codec: Opus}}
`

// A source with B-frames plays in Chromium as a rendition that a transcoder pod makes. The pod that makes it is killed:
// another one goes on, and nobody asks again.
func TestTranscoderPodMakesRenditions(t *testing.T) {
	onNodes(t)
	ctx, c := millrace(t)
	service(ctx, t, c, "made", "")
	apply(ctx, t, c, fmt.Sprintf(rendition, "made"))
	ready(ctx, t, c, "made", 2*time.Minute)
	transcoders, err := c.WaitPods(ctx, 2*time.Minute, kube.MediaNamespace, pool(contract.Transcoder), 2)
	if err != nil {
		t.Fatal(err)
	}
	o := small()
	o.BFrames = 2
	publish(ctx, t, c, "made", "cam", o)
	url := signed(t, "made", "cam_rts-hd", "")
	host := address(ctx, t, c, contract.Relay, contract.NameHTTP)
	r := playSDK(ctx, t, browser.Scenario{Address: hostOf(t, host), HTTPPort: 80, HTTPSPort: 443}, url)
	t.Logf("rendition by a transcoder pod: first picture after %.0f ms, %d pictures", r.FirstFrameMs, r.Frames)

	const n = 10
	v := watch(ctx, t, c, n, sdkReturn, url)
	maker := making(ctx, t, c, transcoders)
	start := time.Now()
	kill(ctx, t, c, maker)
	pause(ctx, afterwards)
	gaps, offers := frozen(t, v.end(), start)
	t.Logf(
		"transcoder %s on %s killed under %d viewers: longest time of each without a new picture %v; %d offers",
		maker.Name,
		maker.Spec.NodeName,
		n,
		gaps,
		offers,
	)
	if len(gaps) == 0 || gaps[len(gaps)-1] == 0 {
		t.Error("nobody noticed: nothing was shown")
	}
	if offers != 0 {
		t.Errorf("viewers asked again %d times", offers)
	}
}

// making is the transcoder that makes a rendition.
func making(ctx context.Context, t *testing.T, c *kube.Cluster, transcoders []corev1.Pod) *corev1.Pod {
	t.Helper()
	for i := range transcoders {
		s, err := stateOf(ctx, c, &transcoders[i])
		if err != nil {
			t.Fatal(err)
		}
		for _, a := range s.Announced {
			if a.Template != "" {
				return &transcoders[i]
			}
		}
	}
	t.Fatal("no transcoder makes anything")
	return nil
}
