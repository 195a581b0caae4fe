package controllers_test

import (
	"context"
	"fmt"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/millrace/millrace/api/v1alpha1"
	"github.com/millrace/millrace/controllers"
	"github.com/millrace/millrace/controllers/fleet"
	"github.com/millrace/millrace/internal/contract"
	"github.com/millrace/millrace/internal/testkit"
)

// writes counts the requests of an operator that change something.
type writes struct {
	all    atomic.Int64
	mu     sync.Mutex
	byPath map[string]int
}

func (c *writes) wrap(next http.RoundTripper) http.RoundTripper {
	return roundTripper(func(r *http.Request) (*http.Response, error) {
		if r.Method != http.MethodGet {
			c.all.Add(1)
			c.mu.Lock()
			if c.byPath == nil {
				c.byPath = map[string]int{}
			}
			c.byPath[r.Method+" "+r.URL.Path]++
			c.mu.Unlock()
		}
		return next.RoundTrip(r)
	})
}

type roundTripper func(*http.Request) (*http.Response, error)

func (f roundTripper) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// settled waits until an operator has written nothing for a while, and gives the number of its writes.
func (c *writes) settled(t *testing.T, quiet time.Duration) int64 {
	t.Helper()
	last, since := c.all.Load(), time.Now()
	for began := time.Now(); time.Since(since) < quiet; time.Sleep(50 * time.Millisecond) {
		if n := c.all.Load(); n != last {
			last, since = n, time.Now()
		}
		if time.Since(began) > testkit.Patience() {
			t.Fatal("the operator never stops writing")
		}
	}
	return last
}

func (w *world) wrap(c *writes) {
	w.wrapped = func(config *rest.Config) { config.Wrap(c.wrap) }
}

// versions of all that there is of ours in a namespace, and of what is rendered.
func (w *world) versions(namespaces ...string) map[string]string {
	w.t.Helper()
	out := map[string]string{}
	lists := []client.ObjectList{
		&v1alpha1.PushDomainList{}, &v1alpha1.PlayDomainList{}, &v1alpha1.DomainAssociationList{},
		&v1alpha1.RTSTranscodeTemplateList{},
		&corev1.SecretList{}, &corev1.ServiceList{}, &corev1.ServiceAccountList{},
	}
	for _, ns := range namespaces {
		for _, list := range lists {
			if err := w.client.List(context.Background(), list, client.InNamespace(ns)); err != nil {
				w.t.Fatal(err)
			}
			for _, o := range items(w.t, list) {
				out[fmt.Sprintf("%T %s/%s", o, o.GetNamespace(), o.GetName())] = o.GetResourceVersion()
			}
		}
	}
	return out
}

// TestAnUnchangedObjectCostsNoWrite: an operator that starts anew finds everything as it should be.
// classesSettled waits until no MediaClass has changed for a while.
func (w *world) classesSettled(quiet time.Duration) {
	w.t.Helper()
	last, since := "", time.Now()
	for began := time.Now(); time.Since(since) < quiet; time.Sleep(100 * time.Millisecond) {
		var list v1alpha1.MediaClassList
		if err := w.client.List(context.Background(), &list); err != nil {
			w.t.Fatal(err)
		}
		now := ""
		for i := range list.Items {
			now += list.Items[i].Name + "=" + list.Items[i].ResourceVersion + " "
		}
		if now != last {
			last, since = now, time.Now()
		}
		if time.Since(began) > testkit.Patience() {
			w.t.Fatal("the classes never settle")
		}
	}
}

func TestAnUnchangedObjectCostsNoWrite(t *testing.T) {
	w := start(t, func(o *controllers.Options) { o.CountsEvery = time.Second })
	ns := server.Namespace(t, nil)
	push, play := w.push(
		ns,
		"push",
		"push.quiet.example.com",
	), w.play(
		ns,
		"play",
		"play.quiet.example.com",
		v1alpha1.PlayRTS,
	)
	association, tmpl := feeds(ns, "feeds", "push", "play"), template(ns, "audio", "audio", "play")
	w.create(push, play, association, tmpl)
	for _, o := range []client.Object{push, play, association, tmpl} {
		w.accepted(o)
	}
	w.deployment(contract.Transcoder, true)
	loser := w.push(ns, "loser", "push.quiet.example.com")
	w.create(loser)
	w.wants(loser, v1alpha1.ConditionStalled, metav1.ConditionTrue, v1alpha1.ReasonHostnameConflict) // after the grace
	// what may wait, waits in the status of classes
	w.classesSettled(3 * time.Second)
	w.stop()
	before := w.versions(ns, w.opt.MediaNamespace)

	var count writes
	w.wrap(&count)
	w.run()
	testkit.Succeeds(t, func() error {
		if w.parts.Board.Passes() == 0 {
			return fmt.Errorf("nothing is decided yet")
		}
		return nil
	})
	if n := count.settled(t, 3*time.Second); n != 0 {
		t.Errorf("an operator that has nothing to do wrote %d times: %v", n, count.byPath)
	}
	after := w.versions(ns, w.opt.MediaNamespace)
	for name, version := range before {
		if after[name] != version {
			t.Errorf("%s changed from %s to %s", name, version, after[name])
		}
	}
	// Applying the same manifest again changes nothing either.
	if err := w.get(push); err != nil {
		t.Fatal(err)
	}
	if err := w.client.Update(t.Context(), push); err != nil {
		t.Fatal(err)
	}
	if n := count.settled(t, 2*time.Second); n != 0 {
		t.Errorf("the same manifest made the operator write %d times: %v", n, count.byPath)
	}
}

// TestASecretReachesThePlan: keys of tenants are read when they change, and nothing of them is in a status.
func TestASecretReachesThePlan(t *testing.T) {
	w := start(t, nil)
	ns := server.Namespace(t, nil)
	push := w.push(ns, "push", "push.secret.example.com")
	push.Spec.Auth = v1alpha1.Auth{Type: v1alpha1.AuthA, SecretRef: &v1alpha1.SecretReference{Name: "keys"}}
	w.create(push)
	w.wants(push, v1alpha1.ConditionResolvedRefs, metav1.ConditionFalse, v1alpha1.ReasonSecretNotFound)
	keys := &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{Namespace: ns, Name: "keys"},
		StringData: map[string]string{"primary": "firstfirstfirst1"},
	}
	w.create(keys)
	w.wants(push, v1alpha1.ConditionResolvedRefs, metav1.ConditionTrue, v1alpha1.ReasonResolvedRefs)
	planned := func(key string) {
		t.Helper()
		testkit.Succeeds(t, func() error {
			b, err := w.plan(contract.Ingest)
			if err != nil {
				return err
			}
			if len(b.Plan.Push) != 1 || b.Plan.Push[0].Auth.Primary != key {
				return fmt.Errorf("the plan has another key")
			}
			return nil
		})
	}
	planned("firstfirstfirst1")
	for _, key := range []string{"secondsecond1234", "thirdthirdthird1"} {
		keys.Data = map[string][]byte{"primary": []byte(key)}
		if err := w.client.Update(t.Context(), keys); err != nil {
			t.Fatal(err)
		}
		planned(key)
	}
	if err := w.client.Delete(t.Context(), keys); err != nil {
		t.Fatal(err)
	}
	w.wants(push, v1alpha1.ConditionResolvedRefs, metav1.ConditionFalse, v1alpha1.ReasonSecretNotFound)
}

// heard is an Observer whose pods say what the test wants.
type heard struct {
	mu      sync.Mutex
	pods    map[string]fleet.Observed
	push    map[string]fleet.Counts
	changed chan struct{}
}

func (h *heard) Synced() bool { return true }
func (h *heard) Pod(name string) (fleet.Observed, bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	o, ok := h.pods[name]
	return o, ok
}
func (h *heard) Push(hostname string) fleet.Counts {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.push[hostname]
}
func (h *heard) Play(string) fleet.Counts             { return fleet.Counts{} }
func (h *heard) Template(string, string) fleet.Counts { return fleet.Counts{} }
func (h *heard) Changed() <-chan struct{}             { return h.changed }
func (h *heard) say(change func()) {
	h.mu.Lock()
	change()
	h.mu.Unlock()
	h.changed <- struct{}{}
}

// pod makes a ready pod of a pool, as the Deployment controller and a kubelet would.
func (w *world) pod(role contract.Role, name string) *corev1.Pod {
	w.t.Helper()
	d := w.deployment(role, true)
	pod := &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Namespace: d.Namespace, Name: name, Labels: d.Spec.Template.Labels},
		Spec:       d.Spec.Template.Spec,
	}
	pod.Spec.NodeName = "nowhere"
	w.create(pod)
	pod.Status.Phase, pod.Status.PodIP = corev1.PodRunning, "10.0.0.9"
	pod.Status.PodIPs = []corev1.PodIP{{IP: "10.0.0.9"}}
	pod.Status.Conditions = []corev1.PodCondition{
		{Type: corev1.PodReady, Status: corev1.ConditionTrue, LastTransitionTime: metav1.Now()},
	}
	if err := w.client.Status().Update(w.t.Context(), pod); err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(func() { _ = w.client.Delete(context.Background(), pod, client.GracePeriodSeconds(0)) })
	return pod
}

// TestADomainIsReadyWhenItsPodsRunOnIt follows a domain from its first pod to its end: the claim stays while a pod
// still serves it.
func TestADomainIsReadyWhenItsPodsRunOnIt(t *testing.T) {
	h := &heard{pods: map[string]fleet.Observed{}, push: map[string]fleet.Counts{}, changed: make(chan struct{}, 16)}
	w := start(t, func(o *controllers.Options) { o.Observer = h })
	ns := server.Namespace(t, nil)
	push, play := w.push(
		ns,
		"push",
		"push.ready.example.com",
	), w.play(
		ns,
		"play",
		"play.ready.example.com",
		v1alpha1.PlayRTS,
	)
	w.create(push, play, feeds(ns, "feeds", "push", "play"))
	w.wants(push, v1alpha1.ConditionReady, metav1.ConditionFalse, v1alpha1.ReasonWaitingForPods)
	w.sa(contract.Ingest)
	w.pod(contract.Ingest, "one")
	h.say(func() { h.pods["one"] = fleet.Observed{PlanHash: "of another time"} })
	w.wants(push, v1alpha1.ConditionProgrammed, metav1.ConditionFalse, v1alpha1.ReasonPlanOnItsWay)

	hash := func() string {
		t.Helper()
		b, err := w.plan(contract.Ingest)
		if err != nil {
			t.Fatal(err)
		}
		return b.Meta.Hash
	}
	testkit.Succeeds(t, func() error {
		b, err := w.plan(contract.Ingest)
		if err == nil && (len(b.Plan.Push) != 1 || b.Plan.Push[0].Space == "") {
			err = fmt.Errorf("the plan lacks the association")
		}
		return err
	})
	h.say(func() { h.pods["one"] = fleet.Observed{PlanHash: hash(), Sessions: 5} })
	w.wants(push, v1alpha1.ConditionReady, metav1.ConditionTrue, v1alpha1.ReasonReady)
	if push.Status.MainPlayDomain != "play.ready.example.com" || len(push.Status.Endpoints) == 0 {
		t.Errorf("status: %+v", push.Status)
	}
	h.say(func() { h.push["push.ready.example.com"] = fleet.Counts{Streams: 2} })
	testkit.Succeeds(t, func() error {
		if err := w.get(push); err != nil || push.Status.Streams.Live != 2 {
			return fmt.Errorf("%d streams, %w", push.Status.Streams.Live, err)
		}
		return nil
	})
	testkit.Succeeds(t, func() error {
		var pod corev1.Pod
		err := w.client.Get(context.Background(), client.ObjectKey{Namespace: w.opt.MediaNamespace, Name: "one"}, &pod)
		if err == nil && pod.Annotations["controller.kubernetes.io/pod-deletion-cost"] != "3" {
			err = fmt.Errorf("the cost of deletion: %v", pod.Annotations)
		}
		return err
	})

	// Another domain changes the Plan, not this one's part of it: it stays ready all the time.
	old, version := hash(), push.ResourceVersion
	w.create(w.push(ns, "other", "other.ready.example.com"))
	testkit.Succeeds(t, func() error {
		if hash() == old {
			return fmt.Errorf("the plan is the old one")
		}
		return nil
	})
	h.say(func() { h.pods["one"] = fleet.Observed{PlanHash: hash(), Sessions: 5} })
	if err := w.get(push); err != nil || push.ResourceVersion != version {
		t.Errorf("the domain was written when another one came: %v", err)
	}

	// The pod stays on the Plan with the domain: the hostname stays taken.
	if err := w.client.Delete(t.Context(), push); err != nil {
		t.Fatal(err)
	}
	testkit.Succeeds(t, func() error {
		b, err := w.plan(contract.Ingest)
		if err == nil && len(b.Plan.Push) != 1 {
			err = fmt.Errorf("%d push domains are planned", len(b.Plan.Push))
		}
		return err
	})
	time.Sleep(2 * again)
	claim := &v1alpha1.DomainClaim{ObjectMeta: metav1.ObjectMeta{Name: "push.ready.example.com"}}
	if err := w.get(claim); err != nil {
		t.Errorf("the claim went before the pods had dropped the domain: %v", err)
	}
	h.say(func() { h.pods["one"] = fleet.Observed{PlanHash: hash()} })
	testkit.Succeeds(t, func() error {
		if err := w.get(claim); err == nil {
			return fmt.Errorf("the claim is still there")
		}
		return nil
	})
}

// again is more than the operator's own period of looking.
const again = time.Second

// sa makes the token controller's work unneeded: the API server wants the ServiceAccount of a pod to exist, which it
// does.
func (w *world) sa(role contract.Role) {
	w.t.Helper()
	testkit.Succeeds(w.t, func() error {
		var sa corev1.ServiceAccount
		return w.client.Get(
			context.Background(),
			client.ObjectKey{Namespace: w.opt.MediaNamespace, Name: contract.PoolName(w.class, role)},
			&sa,
		)
	})
}

func items(t *testing.T, list client.ObjectList) []client.Object {
	t.Helper()
	var out []client.Object
	switch l := list.(type) {
	case *v1alpha1.PushDomainList:
		for i := range l.Items {
			out = append(out, &l.Items[i])
		}
	case *v1alpha1.PlayDomainList:
		for i := range l.Items {
			out = append(out, &l.Items[i])
		}
	case *v1alpha1.DomainAssociationList:
		for i := range l.Items {
			out = append(out, &l.Items[i])
		}
	case *v1alpha1.RTSTranscodeTemplateList:
		for i := range l.Items {
			out = append(out, &l.Items[i])
		}
	case *corev1.SecretList:
		for i := range l.Items {
			out = append(out, &l.Items[i])
		}
	case *corev1.ServiceList:
		for i := range l.Items {
			out = append(out, &l.Items[i])
		}
	case *corev1.ServiceAccountList:
		for i := range l.Items {
			out = append(out, &l.Items[i])
		}
	}
	return out
}
