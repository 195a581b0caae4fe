package controllers_test

import (
	"context"
	"fmt"
	"os"
	"runtime"
	"slices"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/metrics"

	"github.com/millrace/millrace/api/v1alpha1"
	"github.com/millrace/millrace/controllers"
	"github.com/millrace/millrace/internal/contract"
	"github.com/millrace/millrace/internal/testkit"
)

// scale is the number of push domains, of play domains and of associations: MILLRACE_SCALE, 2000 in the full
// measurement.
func scale() int {
	if n, err := strconv.Atoi(os.Getenv("MILLRACE_SCALE")); err == nil && n > 0 {
		return n
	}
	return 150
}

// TestManyDomains prints what many domains cost. Its one demand is the number of writes.
func TestManyDomains(t *testing.T) {
	n := scale()
	w := start(t, func(o *controllers.Options) {
		o.Concurrency, o.QPS, o.Burst, o.CountsEvery = 16, 500, 1000, time.Second
	})
	w.stop()
	var count writes
	w.wrap(&count)
	var namespaces []string
	for range 10 {
		namespaces = append(namespaces, server.Namespace(t, nil))
	}
	objects := make([]client.Object, 0, 3*n)
	for i := range n {
		ns, push, play := namespaces[i%10], fmt.Sprintf("push-%d", i), fmt.Sprintf("play-%d", i)
		objects = append(
			objects,
			w.push(ns, push, push+".many.example.com"),
			w.play(ns, play, play+".many.example.com", v1alpha1.PlayRTS),
			feeds(ns, push, push, play),
		)
	}
	w.run()
	began := time.Now()
	w.createMany(objects)
	created := time.Since(began)
	testkit.SucceedsWithin(t, 20*time.Minute, func() error { return w.allAccepted(namespaces, n) })
	accepted := time.Since(began)
	count.settled(t, 3*time.Second)
	total := count.all.Load()

	var memory runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&memory)
	t.Logf(
		"%d push domains, %d play domains, %d associations: created in %s, all accepted %s after the first",
		n,
		n,
		n,
		created.Round(time.Millisecond),
		accepted.Round(time.Millisecond),
	)
	t.Logf(
		"%d writes, %.2f per object; %d passes; heap %d MiB (the test's own objects included)",
		total,
		float64(total)/float64(3*n),
		w.parts.Board.Passes(),
		memory.HeapAlloc>>20,
	)
	for _, kind := range []string{"pushdomain", "playdomain", "domainassociation", "domainclaim"} {
		t.Logf("reconcile of %s: p99 below %s", kind, p99(t, kind))
	}
	if per := float64(total) / float64(3*n); per > 6 {
		t.Errorf("%.2f writes per object, more than 6", per)
	}
	quiet := 10 * time.Second
	if n >= 2000 {
		quiet = 2 * time.Minute
	}
	before := count.all.Load()
	time.Sleep(quiet)
	if idle := count.all.Load() - before; idle != 0 {
		t.Errorf("%d writes in %s of idleness", idle, quiet)
	} else {
		t.Logf("no write in %s of idleness", quiet)
	}
	w.changes(namespaces[0])
}

// createMany creates objects as fast as the API server takes them.
func (w *world) createMany(objects []client.Object) {
	w.t.Helper()
	work, wg := make(chan client.Object), sync.WaitGroup{}
	for range 16 {
		wg.Go(func() {
			for o := range work {
				if err := w.client.Create(context.Background(), o); err != nil {
					w.t.Errorf("creating %s: %v", o.GetName(), err)
				}
			}
		})
	}
	for _, o := range objects {
		work <- o
	}
	close(work)
	wg.Wait()
}

func (w *world) allAccepted(namespaces []string, n int) error {
	time.Sleep(200 * time.Millisecond) // the lists are long
	done := 0
	for _, ns := range namespaces {
		for _, list := range []client.ObjectList{&v1alpha1.PushDomainList{}, &v1alpha1.PlayDomainList{},
			&v1alpha1.DomainAssociationList{}} {
			if err := w.client.List(context.Background(), list, client.InNamespace(ns)); err != nil {
				return err
			}
			for _, o := range items(w.t, list) {
				if _, ok := accepted(o); ok {
					done++
				}
			}
		}
	}
	if done < 3*n {
		return fmt.Errorf("%d of %d are accepted", done, 3*n)
	}
	return nil
}

// changes measures how long a change of one domain takes into the Plan of its pods.
func (w *world) changes(namespace string) {
	var all []time.Duration
	push := w.push(namespace, "push-0", "")
	for i := range 20 {
		if err := w.get(push); err != nil {
			w.t.Fatal(err)
		}
		push.Spec.Limits.MaxStreams = int32(i + 1)
		began := time.Now()
		if err := w.client.Update(context.Background(), push); err != nil {
			w.t.Fatal(err)
		}
		testkit.Succeeds(w.t, func() error {
			b, err := w.plan(contract.Ingest)
			if err != nil {
				return err
			}
			for _, d := range b.Plan.Push {
				if d.Hostname == string(push.Spec.Hostname) && d.MaxStreams == i+1 {
					return nil
				}
			}
			return fmt.Errorf("the plan has the old limit")
		})
		all = append(all, time.Since(began))
	}
	slices.Sort(all)
	at := func(percent int) time.Duration { return all[(len(all)*percent+99)/100-1].Round(time.Millisecond) }
	w.t.Logf(
		"a change of one domain was in the Secrets of its pool after p50 %s, p95 %s, at most %s of %d",
		at(50),
		at(95),
		at(100),
		len(all),
	)
}

// p99 reads the upper bound of the bucket in which the 99th percentile of a controller's reconciles lies.
func p99(t *testing.T, name string) time.Duration {
	t.Helper()
	families, err := metrics.Registry.(prometheus.Gatherer).Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		if f.GetName() != "controller_runtime_reconcile_time_seconds" {
			continue
		}
		for _, m := range f.GetMetric() {
			if label(m, "controller") == name {
				for _, b := range m.GetHistogram().GetBucket() {
					if float64(b.GetCumulativeCount()) >= 0.99*float64(m.GetHistogram().GetSampleCount()) {
						return time.Duration(b.GetUpperBound() * float64(time.Second))
					}
				}
			}
		}
	}
	return 0
}

func label(m *dto.Metric, name string) string {
	for _, l := range m.GetLabel() {
		if l.GetName() == name {
			return l.GetValue()
		}
	}
	return ""
}
