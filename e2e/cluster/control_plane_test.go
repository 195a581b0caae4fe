package cluster

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/millrace/millrace/e2e/browser"
	"github.com/millrace/millrace/e2e/kube"
	"github.com/millrace/millrace/internal/contract"
	"github.com/millrace/millrace/internal/testsrc"
)

// small is a picture that costs little to encode and to decode.
func small() testsrc.Options {
	return testsrc.Options{Width: 320, Height: 180, FPS: 15, BitrateKbps: 300}
}

// outage is how long the API server is away: 2 minutes where E2E_OUTAGE says so.
func outage(t *testing.T) time.Duration {
	t.Helper()
	text := os.Getenv("E2E_OUTAGE")
	if text == "" {
		text = "20s"
	}
	d, err := time.ParseDuration(text)
	if err != nil {
		t.Fatalf("E2E_OUTAGE: %v", err)
	}
	return d
}

// Without operator and then without API server: viewers and publisher notice nothing, a new publisher and a new viewer
// work, and both come back.
func TestControlPlaneDownNobodyNotices(t *testing.T) {
	onNodes(t)
	ctx, c := millrace(t)
	service(ctx, t, c, "down", "")
	first := publish(ctx, t, c, "down", "cam", small())
	v := watch(ctx, t, c, 2, sdkPlain, signed(t, "down", "cam", ""))
	watched := time.Now()
	// What is asked of the API server is asked before it goes.
	rtmp, web := address(
		ctx,
		t,
		c,
		contract.Ingest,
		contract.NameRTMP,
	), address(
		ctx,
		t,
		c,
		contract.Relay,
		contract.NameHTTP,
	)
	scale := func(replicas string) {
		t.Helper()
		if _, err := c.Kubectl(ctx, "", "-n", kube.OperatorNamespace, "scale", "deployment/millrace-operator",
			"--replicas="+replicas); err != nil {
			t.Fatal(err)
		}
	}
	scale("0")
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
		defer cancel()
		_, started := c.Tool(ctx, "start-daemon", "kube-apiserver")
		_, scaled := c.Kubectl(ctx, "", "-n", kube.OperatorNamespace, "scale", "deployment/millrace-operator", "--replicas=2")
		if err := errors.Join(started, scaled, c.WaitOperator(ctx, time.Minute)); err != nil {
			t.Error(err)
		}
	})
	mustTool(ctx, t, c, "stop-daemon", "kube-apiserver")
	began := time.Now()
	second, err := testsrc.Publish(ctx, withURL(small(), rtmp, "down", "second"))
	if err != nil {
		t.Fatal(err)
	}
	if err := kube.Poll(ctx, 30*time.Second, "a new stream without a control plane", func(ctx context.Context) error {
		status, err := offer(ctx, web, "rts-down.example.com", "/live/second")
		if err == nil && status != http.StatusBadRequest && status != http.StatusUnsupportedMediaType {
			err = fmt.Errorf("status %d", status)
		}
		return err
	}); err != nil {
		t.Fatal(err)
	}
	t.Logf("a new stream was playable %.1f s after the API server had gone", time.Since(began).Seconds())
	host, _, _ := strings.Cut(web, ":")
	if _, err := browser.Drive(ctx, browser.Scenario{Address: host, HTTPPort: 80, HTTPSPort: 443, TimeoutSeconds: 60 +
		outage(t).Seconds(), Steps: []browser.Step{
		{Kind: browser.SDK, Version: sdkPlain, PageScheme: "http", URL: signed(t, "down", "second", ""),
			WatchSeconds: max(2, (outage(t) - time.Since(began)).Seconds())},
	}}, nil); err != nil {
		t.Errorf("a new viewer without a control plane: %v", err)
	}
	mustTool(ctx, t, c, "start-daemon", "kube-apiserver")
	scale("2")
	// Kubernetes itself tries again the more seldom, the longer it was away
	if err := c.WaitOperator(ctx, 90*time.Second+outage(t)/2); err != nil {
		t.Fatal(err)
	}
	for _, p := range []*testsrc.Publisher{first, second} {
		select {
		case <-p.Done():
			t.Errorf("a publisher was cut off: %s", p.Output())
		default:
		}
	}
	ready(ctx, t, c, "down", time.Minute)
	gaps, offers := frozen(t, v.end(), watched)
	t.Logf("longest time of each viewer without a new picture %v; %d offers", gaps, offers)
	if offers != 0 {
		t.Errorf("2 viewers asked again %d times", offers)
	}
}

func withURL(o testsrc.Options, at, service, stream string) testsrc.Options {
	o.URL = fmt.Sprintf("rtmp://%s/live/%s?vhost=push-%s.example.com", at, stream, service)
	return o
}
