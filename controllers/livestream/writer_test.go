package livestream

import (
	"context"
	"fmt"
	"os"
	"sync"
	"testing"
	"time"

	"github.com/go-logr/logr"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/millrace/millrace/api/v1alpha1"
	"github.com/millrace/millrace/controllers/envtest"
	"github.com/millrace/millrace/controllers/observe"
	"github.com/millrace/millrace/dataplane/announce"
	"github.com/millrace/millrace/internal/testkit"
)

var cluster *envtest.Cluster

func TestMain(m *testing.M) { os.Exit(envtest.Main(m, &cluster)) }

// pods is an Observer that a test speaks through.
type pods struct {
	mu      sync.Mutex
	snap    *observe.Snapshot
	changed chan struct{}
}

func (p *pods) Snapshot() *observe.Snapshot {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.snap
}

func (p *pods) Synced() bool             { return true }
func (p *pods) Changed() <-chan struct{} { return p.changed }

func (p *pods) say(streams ...observe.Stream) {
	snap := &observe.Snapshot{Streams: map[announce.ID]observe.Stream{}}
	for _, s := range streams {
		snap.Streams[s.ID] = s
	}
	p.mu.Lock()
	p.snap = snap
	p.mu.Unlock()
	select {
	case p.changed <- struct{}{}:
	default:
	}
}

// clock is a clock that a test moves.
type clock struct {
	mu    sync.Mutex
	ahead time.Duration
}

func (c *clock) now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return time.Now().Add(c.ahead)
}

func (c *clock) advance(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.ahead += d
}

// start runs a Writer over a namespace with a push domain.
func start(t *testing.T, namespace string) (*pods, *clock) {
	t.Helper()
	c := envtest.Need(t, cluster)
	for _, o := range []client.Object{
		&corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: namespace}},
		&v1alpha1.PushDomain{
			ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: "push"},
			Spec: v1alpha1.PushDomainSpec{Hostname: v1alpha1.Hostname(namespace + ".example.com"),
				Source: v1alpha1.Source{MaxGOPMilliseconds: 3000}},
		},
	} {
		if err := c.Create(t.Context(), o); err != nil {
			t.Fatal(err)
		}
	}
	p, k := &pods{snap: &observe.Snapshot{}, changed: make(chan struct{}, 1)}, &clock{}
	w := New(Options{Client: client.NewNamespacedClient(c, namespace), Observer: p, Log: logr.Discard(), Now: k.now})
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- w.Start(ctx) }()
	t.Cleanup(func() { cancel(); <-done })
	return p, k
}

func in(namespace, name string, change func(*announce.Stream)) observe.Stream {
	return source(func(s *announce.Stream) {
		s.PushDomain, s.Name, s.Since = namespace+".example.com", name, time.Now().Add(-time.Minute)
		if change != nil {
			change(s)
		}
	})
}

func list(t *testing.T, namespace string) map[string]v1alpha1.LiveStream {
	t.Helper()
	var all v1alpha1.LiveStreamList
	if err := cluster.List(t.Context(), &all, client.InNamespace(namespace)); err != nil {
		t.Fatal(err)
	}
	out := map[string]v1alpha1.LiveStream{}
	for _, l := range all.Items {
		out[l.Spec.Stream] = l
	}
	return out
}

func compliant(l v1alpha1.LiveStream) string {
	if c := meta.FindStatusCondition(l.Status.Conditions, v1alpha1.ConditionSourceCompliant); c != nil {
		return c.Reason
	}
	return ""
}

func TestLiveStreamsComeAndGo(t *testing.T) {
	const ns = "comeandgo"
	p, k := start(t, ns)
	began := time.Now()
	p.say(
		in(ns, "good", nil),
		in(ns, "bframes", func(s *announce.Stream) { s.Facts.BFrames = true }),
		in(ns, "longgop", func(s *announce.Stream) { s.Facts.GOP = 8 * time.Second }),
	)
	testkit.Eventually(t, "three streams", func() bool {
		all := list(t, ns)
		return len(all) == 3 && compliant(all["good"]) == "Compliant" && compliant(all["bframes"]) == "BFramesPresent" &&
			compliant(all["longgop"]) == "GOPTooLong"
	})
	t.Logf("shown after %v", time.Since(began).Round(10*time.Millisecond))
	// What does not change is not written.
	version := list(t, ns)["good"].ResourceVersion
	for range 3 {
		p.say(in(ns, "good", func(s *announce.Stream) { s.Facts.FPS = 30.03 }))
		time.Sleep(roundEvery)
	}
	testkit.Eventually(t, "the end of two streams", func() bool {
		all := list(t, ns)
		return all["bframes"].Status.Ended != nil && all["longgop"].Status.Ended != nil
	})
	if got := list(t, ns)["good"]; got.ResourceVersion != version && got.Status.Since.Unix() == 0 {
		t.Errorf("an unchanged stream was written")
	}
	k.advance(keepEnded + time.Second)
	testkit.Eventually(t, "their deletion", func() bool { return len(list(t, ns)) == 1 })
	// Somebody deletes what is live: it comes again.
	l := list(t, ns)["good"]
	if err := cluster.Delete(t.Context(), &l); err != nil {
		t.Fatal(err)
	}
	k.advance(readEvery + time.Second)
	testkit.Eventually(t, "the stream again", func() bool { return list(t, ns)["good"].Status.Pod == "ingest-1" })
}

func TestTheBudgetOfWritesHolds(t *testing.T) {
	const ns = "budget"
	p, _ := start(t, ns)
	var all []observe.Stream
	for i := range 60 {
		all = append(all, in(ns, fmt.Sprintf("s%02d", i), nil))
	}
	began := time.Now()
	p.say(all...)
	testkit.Eventually(t, "60 streams", func() bool {
		n := 0
		for _, l := range list(t, ns) {
			if l.Status.Pod != "" {
				n++
			}
		}
		return n == 60
	})
	t.Logf("60 streams after %v", time.Since(began).Round(10*time.Millisecond))
}

func TestTheIdentityIsImmutable(t *testing.T) {
	const ns = "immutable"
	p, _ := start(t, ns)
	p.say(in(ns, "one", nil))
	testkit.Eventually(t, "the stream", func() bool { return list(t, ns)["one"].Status.Pod != "" })
	l := list(t, ns)["one"]
	l.Spec.App = "other"
	if err := cluster.Update(t.Context(), &l); err == nil {
		t.Error("the identity of a stream can be changed")
	}
}
