package cluster

import (
	"context"
	"fmt"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/millrace/millrace/api/v1alpha1"
	"github.com/millrace/millrace/e2e/kube"
	"github.com/millrace/millrace/internal/contract"
	"github.com/millrace/millrace/internal/contract/check"
	"github.com/millrace/millrace/internal/testsrc"
)

// Streams are objects soon after their start, with what is wrong with them, and are gone a minute after their end.
func TestStreamsAreShownWithTheirFaults(t *testing.T) {
	t.Parallel()
	ctx, c := millrace(t)
	service(ctx, t, c, "shown", "")
	publish(ctx, t, c, "shown", "first", small()).Stop(10 * time.Second) // from here on the Service leads to the pods
	at := address(ctx, t, c, contract.Ingest, contract.NameRTMP)
	type source struct {
		change  func(*testsrc.Options)
		reason  v1alpha1.Reason
		started time.Time
		shown   time.Duration
		verdict time.Duration
		run     *testsrc.Publisher
	}
	sources := map[string]*source{
		"good":    {change: func(*testsrc.Options) {}, reason: v1alpha1.ReasonCompliant},
		"bframes": {change: func(o *testsrc.Options) { o.BFrames = 2 }, reason: v1alpha1.Reason(check.BFramesPresent)},
		"gop8":    {change: func(o *testsrc.Options) { o.GOPSeconds = 8 }, reason: v1alpha1.Reason(check.GOPTooLong)},
	}
	for name, s := range sources {
		o := withURL(small(), at, "shown", name)
		s.change(&o)
		s.started = time.Now()
		var err error
		if s.run, err = testsrc.Publish(ctx, o); err != nil {
			t.Fatal(err)
		}
	}
	if err := kube.Poll(ctx, time.Minute, "the verdicts", func(ctx context.Context) error {
		objects, err := liveStreams(ctx, c, "shown")
		if err != nil {
			return err
		}
		var waits error
		for name, s := range sources {
			l := objects[name]
			if l != nil && s.shown == 0 {
				s.shown = time.Since(s.started)
			}
			if got := compliance(l); got != string(s.reason) {
				waits = fmt.Errorf("%s: %q, want %s", name, got, s.reason)
			} else if s.verdict == 0 {
				s.verdict = time.Since(s.started)
			}
		}
		return waits
	}); err != nil {
		t.Fatal(err)
	}
	for name, s := range sources {
		t.Logf(
			"%s: shown %.1f s after ffmpeg was started, %s after %.1f s",
			name,
			s.shown.Seconds(),
			s.reason,
			s.verdict.Seconds(),
		)
	}
	out, err := c.Kubectl(ctx, "", "get", "livestreams", "-A", "-o", "wide")
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("kubectl get livestreams -A -o wide\n%s", out)
	for _, s := range sources {
		s.run.Stop(10 * time.Second)
	}
	ended := time.Now()
	if err := kube.Poll(ctx, 2*time.Minute, "the streams to be gone", func(ctx context.Context) error {
		objects, err := liveStreams(ctx, c, "shown")
		for name := range sources {
			if l := objects[name]; err == nil && l != nil {
				if live := meta.FindStatusCondition(l.Status.Conditions, v1alpha1.ConditionLive); time.Since(
					ended) > 30*time.Second && (live == nil || live.Status != metav1.ConditionFalse) {
					t.Errorf("%s is shown as live after its end: %+v", name, live)
				}
				err = fmt.Errorf("%s is there", name)
			}
		}
		return err
	}); err != nil {
		t.Fatal(err)
	}
	gone := time.Since(ended)
	t.Logf("all gone %.1f s after the end", gone.Seconds())
	if gone < 59*time.Second {
		t.Errorf("gone after %s: nobody could look at them", gone)
	}
}

// liveStreams are the LiveStreams of a namespace, by the name of the stream.
func liveStreams(ctx context.Context, c *kube.Cluster, namespace string) (map[string]*v1alpha1.LiveStream, error) {
	var list v1alpha1.LiveStreamList
	if err := c.List(ctx, &list, client.InNamespace(namespace)); err != nil {
		return nil, fmt.Errorf("listing LiveStreams: %w", err)
	}
	out := map[string]*v1alpha1.LiveStream{}
	for i := range list.Items {
		out[list.Items[i].Spec.Stream] = &list.Items[i]
	}
	return out, nil
}

func compliance(l *v1alpha1.LiveStream) string {
	if l == nil {
		return "no object"
	}
	c := meta.FindStatusCondition(l.Status.Conditions, v1alpha1.ConditionSourceCompliant)
	if c == nil {
		return "no verdict"
	}
	return c.Reason
}
