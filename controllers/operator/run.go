package operator

import (
	"context"
	"fmt"
	"net/http"
	"sync/atomic"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/runtime"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/rest"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/config"
	"sigs.k8s.io/controller-runtime/pkg/healthz"
	"sigs.k8s.io/controller-runtime/pkg/manager"
	metricsserver "sigs.k8s.io/controller-runtime/pkg/metrics/server"

	"github.com/millrace/millrace/api/v1alpha1"
)

// +kubebuilder:rbac:groups=coordination.k8s.io,namespace=millrace-system,resources=leases,verbs=create
// +kubebuilder:rbac:groups=coordination.k8s.io,namespace=millrace-system,resources=leases,resourceNames=millrace-operator,verbs=get;update;patch
// +kubebuilder:rbac:groups="",namespace=millrace-system,resources=events,verbs=create;patch
// +kubebuilder:rbac:groups=events.k8s.io,namespace=millrace-system,resources=events,verbs=create;patch

// leaseName is the name of the lease by which one replica leads.
const leaseName = "millrace-operator"

// Run runs the operator until the context ends.
func Run(ctx context.Context, cluster *rest.Config, opt Options) error {
	if err := opt.check(); err != nil {
		return err
	}
	cluster = rest.CopyConfig(cluster)
	cluster.QPS, cluster.Burst = float32(opt.QPS), opt.Burst
	cluster.UserAgent = "millrace-operator"

	scheme, err := newScheme()
	if err != nil {
		return err
	}
	direct, err := client.New(cluster, client.Options{Scheme: scheme})
	if err != nil {
		return fmt.Errorf("make a client for %s: %w", cluster.Host, err)
	}
	trust, err := loadTrust(ctx, direct, opt)
	if err != nil {
		return err
	}
	var leaving leaving
	mgr, err := newManager(cluster, scheme, opt, trust)
	if err != nil {
		return fmt.Errorf("prepare the operator: %w", err)
	}
	if err := mgr.AddHealthzCheck("ping", healthz.Ping); err != nil {
		return err
	}
	if err := mgr.AddReadyzCheck("leaving", leaving.check); err != nil {
		return err
	}
	if err := trust.addTo(mgr, opt); err != nil {
		return fmt.Errorf("prepare the certificates: %w", err)
	}
	if opt.WebhookPort > 0 {
		if err := addWebhook(mgr, direct, opt, trust); err != nil {
			return fmt.Errorf("prepare the webhook: %w", err)
		}
	}
	if err := addControllers(ctx, mgr, opt, trust); err != nil {
		return fmt.Errorf("prepare the controllers: %w", err)
	}
	if err := mgr.Add(&defaultClass{client: direct, file: opt.DefaultClass, log: opt.Log}); err != nil {
		return err
	}
	return mgr.Start(leaving.after(ctx, opt))
}

// newScheme knows the kinds of Kubernetes and ours.
func newScheme() (*runtime.Scheme, error) {
	scheme := runtime.NewScheme()
	for _, add := range []func(*runtime.Scheme) error{clientgoscheme.AddToScheme, v1alpha1.AddToScheme} {
		if err := add(scheme); err != nil {
			return nil, fmt.Errorf("register the kinds: %w", err)
		}
	}
	return scheme, nil
}

func newManager(cluster *rest.Config, scheme *runtime.Scheme, opt Options, trust *trust) (manager.Manager, error) {
	stop := 30 * time.Second
	return ctrl.NewManager(cluster, manager.Options{
		Scheme: scheme,
		Logger: opt.Log,
		Cache:  cacheOptions(opt),
		// Secrets of tenants are read when they are needed and never kept.
		Client: client.Options{
			Cache: &client.CacheOptions{DisableFor: []client.Object{&corev1.Secret{}}},
		},
		Metrics:                       metricsserver.Options{BindAddress: opt.MetricsAddress},
		HealthProbeBindAddress:        opt.HealthAddress,
		LeaderElection:                opt.LeaderElection,
		LeaderElectionID:              leaseName,
		LeaderElectionNamespace:       opt.Namespace,
		LeaderElectionReleaseOnCancel: true, // the process ends right after
		GracefulShutdownTimeout:       &stop,
		WebhookServer:                 newWebhookServer(opt, trust),
		Controller:                    config.Controller{MaxConcurrentReconciles: opt.Concurrency},
	})
}

// leaving says that the process has been told to end. For a while it still answers: the API server finds out a moment
// later.
type leaving struct{ told atomic.Bool }

func (l *leaving) check(*http.Request) error {
	if l.told.Load() {
		return fmt.Errorf("the operator is ending")
	}
	return nil
}

// after returns a context that ends some time after another one.
func (l *leaving) after(ctx context.Context, opt Options) context.Context {
	later, cancel := context.WithCancel(context.WithoutCancel(ctx))
	go func() {
		defer cancel()
		<-ctx.Done()
		l.told.Store(true)
		if opt.WebhookPort < 0 {
			return
		}
		opt.Log.Info("Ending: the webhook answers for a moment longer", "delay", opt.ShutdownDelay.String())
		time.Sleep(opt.ShutdownDelay)
	}()
	return later
}
