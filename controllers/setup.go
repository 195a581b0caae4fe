package controllers

import (
	"context"
	"fmt"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	autoscalingv2 "k8s.io/api/autoscaling/v2"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	policyv1 "k8s.io/api/policy/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	"k8s.io/apimachinery/pkg/types"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/manager"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/millrace/millrace/api/v1alpha1"
	"github.com/millrace/millrace/controllers/apply"
	"github.com/millrace/millrace/controllers/board"
	"github.com/millrace/millrace/controllers/fleet"
	"github.com/millrace/millrace/internal/contract"
	"github.com/millrace/millrace/internal/contract/plan"
)

// Parts are what Setup made, for others to look at.
type Parts struct {
	Board *board.Board
	Fleet *fleet.Fleet
}

// Setup adds all controllers to a manager whose scheme and cache are those of Scheme and CacheOptions.
func Setup(ctx context.Context, mgr ctrl.Manager, opt Options) (*Parts, error) {
	opt.fill()
	c := &core{
		Options:  opt,
		client:   mgr.GetClient(),
		live:     mgr.GetAPIReader(),
		metadata: mgr.GetCache(),
		counted:  map[types.UID]time.Time{},
	}
	feeds := newFeeds()
	c.fleet = fleet.New(fleet.Options{
		Observer: opt.Observer, Quiet: 200 * time.Millisecond, Now: opt.Now,
		OnPool:  func(k fleet.PoolKey) { c.poolChanged(feeds, k) },
		OnLoad:  func(k fleet.PoolKey) { feeds.byKind[v1alpha1.KindMediaClass].Add("", k.Class) },
		OnEntry: func(k fleet.PoolKey, entry string) { c.entryChanged(feeds, k, entry) },
	})
	c.board = board.New(board.Options{
		Cache: mgr.GetCache(), Live: c.live, Quiet: opt.Quiet, Most: opt.Most, Log: mgr.GetLogger().WithName("board"),
		Expect: func(plans map[string]*plan.Plan) { c.fleet.Expect(plans) },
	})
	for _, watch := range []func(context.Context) error{
		c.board.Watch,
		func(ctx context.Context) error { return c.fleet.Watch(ctx, mgr.GetCache()) },
		func(ctx context.Context) error { return c.fleet.WatchNodes(ctx, mgr.GetCache()) },
	} {
		if err := watch(ctx); err != nil {
			return nil, err
		}
	}
	for kind, f := range feeds.byKind {
		c.board.Subscribe(kind, f)
	}
	c.board.SubscribePlans(feeds.plans)
	c.board.SubscribePlans(feeds.byKind[v1alpha1.KindMediaClass])
	for _, r := range []manager.Runnable{c.board, c.fleet} {
		if err := mgr.Add(r); err != nil {
			return nil, fmt.Errorf("add %T: %w", r, err)
		}
	}
	if err := c.addControllers(mgr, feeds); err != nil {
		return nil, err
	}
	if opt.Certificates != nil {
		if err := mgr.Add(&renewals{core: c, classes: feeds.byKind[v1alpha1.KindMediaClass]}); err != nil {
			return nil, fmt.Errorf("add the renewal of certificates: %w", err)
		}
	}
	return &Parts{Board: c.board, Fleet: c.fleet}, nil
}

func (c *core) addControllers(mgr ctrl.Manager, feeds *feeds) error {
	for _, k := range []struct {
		kind       string
		object     client.Object
		reconciler reconcile.Reconciler
	}{
		{v1alpha1.KindPushDomain, &v1alpha1.PushDomain{}, pushDomains(c)},
		{v1alpha1.KindPlayDomain, &v1alpha1.PlayDomain{}, playDomains(c)},
		{v1alpha1.KindDomainAssociation, &v1alpha1.DomainAssociation{}, associations{c}},
		{v1alpha1.KindRTSTranscodeTemplate, &v1alpha1.RTSTranscodeTemplate{}, templates{c}},
		{v1alpha1.KindDomainClaim, &v1alpha1.DomainClaim{}, &domainClaims{core: c, stale: map[types.UID]time.Time{}}},
	} {
		err := ctrl.NewControllerManagedBy(mgr).For(k.object).WatchesRawSource(feeds.byKind[k.kind].Source()).
			WithOptions(c.options(c.Concurrency)).Complete(k.reconciler)
		if err != nil {
			return fmt.Errorf("add the controller of %s: %w", k.kind, err)
		}
	}
	byClass := handler.EnqueueRequestsFromMapFunc(func(_ context.Context, o client.Object) []reconcile.Request {
		if o.GetNamespace() != c.MediaNamespace || o.GetLabels()[contract.LabelClass] == "" {
			return nil
		}
		return []reconcile.Request{{NamespacedName: types.NamespacedName{Name: o.GetLabels()[contract.LabelClass]}}}
	})
	classes := mediaClasses{core: c, apply: apply.Applier{Client: c.client}, plans: feeds.plans}
	builder := ctrl.NewControllerManagedBy(mgr).
		For(&v1alpha1.MediaClass{}).
		WatchesRawSource(feeds.byKind[v1alpha1.KindMediaClass].Source())
	for _, o := range []client.Object{
		&appsv1.Deployment{}, &corev1.Service{}, &corev1.ServiceAccount{}, &rbacv1.Role{}, &rbacv1.RoleBinding{},
		&policyv1.PodDisruptionBudget{}, &networkingv1.NetworkPolicy{}, &autoscalingv2.HorizontalPodAutoscaler{},
	} {
		builder = builder.Watches(o, byClass)
	}
	if err := builder.WithOptions(c.options(1)).Complete(classes); err != nil {
		return fmt.Errorf("add the controller of MediaClass: %w", err)
	}
	delivery := &plans{core: c, written: map[string]written{}, last: map[fleet.PoolKey]delivered{}}
	err := ctrl.NewControllerManagedBy(mgr).Named("plan").WatchesRawSource(feeds.plans.Source()).
		WatchesMetadata(&corev1.Secret{}, byClass).WithOptions(c.options(1)).Complete(delivery)
	if err != nil {
		return fmt.Errorf("add the controller of plans: %w", err)
	}
	return nil
}

func (c *core) options(concurrency int) controller.Options {
	o := controller.Options{MaxConcurrentReconciles: concurrency}
	if c.AnyName {
		skip := true
		o.SkipNameValidation = &skip
	}
	return o
}

// renewals makes the certificates of pods follow the CA.
type renewals struct {
	*core
	classes *board.Feed
}

// Start asks for all classes whenever the CA or the bundle changes.
func (r *renewals) Start(ctx context.Context) error {
	changes := r.Certificates.Changes()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-changes:
		}
		r.board.Result().Each(func(k board.Key, _ *board.Decision) {
			if k.Kind == v1alpha1.KindMediaClass {
				r.classes.Add("", k.Name)
			}
		})
	}
}
