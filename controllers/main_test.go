package controllers_test

import (
	"context"
	"fmt"
	"os"
	"testing"

	"github.com/go-logr/logr"
	"github.com/go-logr/logr/testr"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	metricsserver "sigs.k8s.io/controller-runtime/pkg/metrics/server"

	"github.com/millrace/millrace/api/v1alpha1"
	"github.com/millrace/millrace/controllers"
	"github.com/millrace/millrace/controllers/envtest"
	"github.com/millrace/millrace/internal/testkit"
)

var server *envtest.Cluster

func TestMain(m *testing.M) {
	ctrl.SetLogger(logr.Discard())
	os.Exit(envtest.Main(m, &server))
}

// world is an operator on the test's API server, without webhooks. Kinds are cluster-wide, so tests share everything
// but names.
type world struct {
	t      *testing.T
	client client.Client
	opt    controllers.Options
	class  string
	parts  *controllers.Parts
	stop   func()
	// wrapped changes the configuration of the next operator that runs.
	wrapped func(*rest.Config)
}

// start runs an operator for one test, with a class of its own.
func start(t *testing.T, change func(*controllers.Options)) *world {
	t.Helper()
	w := &world{t: t, client: envtest.Need(t, server)}
	w.opt = controllers.DefaultOptions()
	w.opt.MediaNamespace, w.opt.Image, w.opt.AnyName = server.Namespace(t, nil), "millrace/media:test", true
	if change != nil {
		change(&w.opt)
	}
	w.run()
	w.class = "c" + w.opt.MediaNamespace
	w.create(
		&v1alpha1.MediaClass{
			ObjectMeta: metav1.ObjectMeta{Name: w.class},
			Spec:       v1alpha1.MediaClassSpec{RTS: &v1alpha1.RTSGrant{}},
		},
	)
	return w
}

// run starts the operator until the test ends or stop is called.
func (w *world) run() {
	w.t.Helper()
	scheme, err := controllers.Scheme()
	if err != nil {
		w.t.Fatal(err)
	}
	log := logr.Discard()
	if os.Getenv("MILLRACE_TEST_LOGS") != "" {
		log = testr.NewWithOptions(w.t, testr.Options{Verbosity: 2})
	}
	config := w.opt.Client(server.Config)
	if w.wrapped != nil {
		w.wrapped(config)
	}
	mgr, err := ctrl.NewManager(config, ctrl.Options{
		Scheme: scheme, Cache: controllers.CacheOptions(w.opt), Client: controllers.ClientOptions(), Logger: log,
		Metrics: metricsserver.Options{BindAddress: "0"},
	})
	if err != nil {
		w.t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	if w.parts, err = controllers.Setup(ctx, mgr, w.opt); err != nil {
		w.t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() { done <- mgr.Start(ctx) }()
	stopped := false
	w.stop = func() {
		if stopped {
			return
		}
		stopped = true
		cancel()
		if err := <-done; err != nil {
			w.t.Errorf("the operator ended: %v", err)
		}
	}
	w.t.Cleanup(func() { w.stop() })
}

func (w *world) create(objects ...client.Object) {
	w.t.Helper()
	for _, o := range objects {
		if err := w.client.Create(w.t.Context(), o); err != nil {
			w.t.Fatalf("creating %T %s: %v", o, o.GetName(), err)
		}
		w.t.Cleanup(func() { w.remove(o) })
	}
}

// remove deletes an object for good, whoever runs.
func (w *world) remove(o client.Object) {
	ctx := context.Background()
	_ = w.client.Delete(ctx, o)
	if err := w.client.Get(ctx, client.ObjectKeyFromObject(o), o); err == nil && len(o.GetFinalizers()) > 0 {
		o.SetFinalizers(nil)
		_ = w.client.Update(ctx, o)
	}
	switch d := o.(type) {
	case *v1alpha1.PushDomain:
		w.unclaim(ctx, string(d.Spec.Hostname), o)
	case *v1alpha1.PlayDomain:
		w.unclaim(ctx, string(d.Spec.Hostname), o)
	}
}

// unclaim deletes the claim of a hostname if the owner has it.
func (w *world) unclaim(ctx context.Context, hostname string, owner client.Object) {
	claim := &v1alpha1.DomainClaim{ObjectMeta: metav1.ObjectMeta{Name: hostname}}
	if w.get(claim) == nil && claim.Spec.ClaimRef != nil && claim.Spec.ClaimRef.UID == string(owner.GetUID()) {
		_ = w.client.Delete(ctx, claim)
	}
}

func (w *world) push(namespace, name, hostname string) *v1alpha1.PushDomain {
	return &v1alpha1.PushDomain{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name},
		Spec:       v1alpha1.PushDomainSpec{Hostname: v1alpha1.Hostname(hostname), ClassName: w.class},
	}
}

func (w *world) play(namespace, name, hostname string, t v1alpha1.PlayType) *v1alpha1.PlayDomain {
	return &v1alpha1.PlayDomain{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name},
		Spec:       v1alpha1.PlayDomainSpec{Hostname: v1alpha1.Hostname(hostname), Type: t, ClassName: w.class},
	}
}

func feeds(namespace, name, push, main string) *v1alpha1.DomainAssociation {
	return &v1alpha1.DomainAssociation{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name},
		Spec: v1alpha1.DomainAssociationSpec{
			Type: v1alpha1.PushToPlay, PushDomainRef: &v1alpha1.DomainReference{Name: push},
			MainPlayDomainRef: v1alpha1.DomainReference{Name: main},
		},
	}
}

func subOf(namespace, name, sub, main string) *v1alpha1.DomainAssociation {
	return &v1alpha1.DomainAssociation{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name},
		Spec: v1alpha1.DomainAssociationSpec{
			Type: v1alpha1.MainToSub, SubPlayDomainRef: &v1alpha1.DomainReference{Name: sub},
			MainPlayDomainRef: v1alpha1.DomainReference{Name: main},
		},
	}
}

func conditionsOf(o client.Object) []metav1.Condition {
	switch o := o.(type) {
	case *v1alpha1.PushDomain:
		return o.Status.Conditions
	case *v1alpha1.PlayDomain:
		return o.Status.Conditions
	case *v1alpha1.DomainAssociation:
		return o.Status.Conditions
	case *v1alpha1.RTSTranscodeTemplate:
		return o.Status.Conditions
	case *v1alpha1.MediaClass:
		return o.Status.Conditions
	case *v1alpha1.DomainClaim:
		return o.Status.Conditions
	}
	return nil
}

// get reads an object again.
func (w *world) get(o client.Object) error {
	return w.client.Get(context.Background(), client.ObjectKeyFromObject(o), o)
}

// wants waits for a condition with a status and a reason.
func (w *world) wants(o client.Object, conditionType string, status metav1.ConditionStatus, reason v1alpha1.Reason) {
	w.t.Helper()
	testkit.Succeeds(w.t, func() error {
		if err := w.get(o); err != nil {
			return err
		}
		for _, c := range conditionsOf(o) {
			if c.Type == conditionType && c.Status == status && c.Reason == string(reason) {
				return nil
			}
		}
		return fmt.Errorf("%T %s: want %s=%s/%s, have %v", o, o.GetName(), conditionType, status, reason, conditionsOf(o))
	})
}

func (w *world) accepted(o client.Object) {
	w.t.Helper()
	w.wants(o, v1alpha1.ConditionAccepted, metav1.ConditionTrue, v1alpha1.ReasonAccepted)
}

// label sets the labels of a namespace.
func (w *world) label(namespace string, labels map[string]string) {
	w.t.Helper()
	ns := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: namespace}}
	if err := w.get(ns); err != nil {
		w.t.Fatal(err)
	}
	ns.Labels = labels
	if err := w.client.Update(w.t.Context(), ns); err != nil {
		w.t.Fatal(err)
	}
}
