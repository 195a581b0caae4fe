// Package operator is the process of the control plane: "millrace operator". Every replica answers admission requests;
// the one that holds the lease reconciles.
package operator

import (
	"fmt"
	"net/url"
	"os"
	"time"

	"github.com/go-logr/logr"
	"github.com/spf13/cobra"
	"k8s.io/klog/v2"
	ctrl "sigs.k8s.io/controller-runtime"

	"github.com/millrace/millrace/internal/contract"
)

// CertMode says where the certificate of the webhook comes from.
type CertMode string

// The modes of the webhook's certificate.
const (
	CertsBuiltIn     CertMode = "BuiltIn"     // signed by the operator's own CA, in memory
	CertsCertManager CertMode = "CertManager" // mounted; cert-manager's cainjector writes the bundle
	CertsProvided    CertMode = "Provided"    // mounted, with its bundle as ca.crt
)

// envMediaImage is the variable with the image of media pods: in the environment, it can be set where images are.
const envMediaImage = "MEDIA_IMAGE"

// Options of the operator.
type Options struct {
	Namespace      string
	MediaNamespace string
	ServiceAccount string
	MediaImage     string
	DefaultClass   string

	WebhookPort    int // -1: no webhook
	WebhookAddress string
	WebhookURL     string
	CertMode       CertMode
	CertDir        string
	CAOverlap      time.Duration

	QPS         float64
	Burst       int
	Concurrency int

	LeaderElection bool
	MetricsAddress string
	HealthAddress  string
	ShutdownDelay  time.Duration

	Log logr.Logger
}

// defaults are the options as flags have them.
func defaults() Options {
	namespace := os.Getenv(contract.EnvPodNamespace)
	if namespace == "" {
		namespace = contract.OperatorNamespace
	}
	return Options{
		Namespace: namespace, MediaNamespace: contract.MediaNamespace, ServiceAccount: "millrace-operator",
		MediaImage:  os.Getenv(envMediaImage),
		WebhookPort: 10250, CertMode: CertsBuiltIn, CertDir: "/etc/millrace/webhook", CAOverlap: time.Hour,
		QPS: 100, Burst: 200, Concurrency: 4,
		LeaderElection: true, MetricsAddress: ":9090", HealthAddress: ":8081", ShutdownDelay: 5 * time.Second,
	}
}

// NewCommand makes "millrace operator".
func NewCommand() *cobra.Command {
	opt := defaults()
	mode := string(opt.CertMode)
	cmd := &cobra.Command{
		Use:   "operator",
		Short: "Run the Kubernetes operator",
		Long: "Turns the manifests in a Kubernetes cluster into pods that serve them, and judges manifests when they are " +
			"applied. Several replicas " +
			"may run: all answer admission requests, one reconciles.\n\n" +
			"The cluster is that of the pod's service account, or outside of a pod that of KUBECONFIG.",
		Args: func(_ *cobra.Command, args []string) error {
			opt.CertMode = CertMode(mode)
			if len(args) > 0 {
				return fmt.Errorf("%q: the operator takes flags only", args[0])
			}
			return opt.check()
		},
		RunE: func(cmd *cobra.Command, _ []string) error {
			opt.Log = logr.FromContextOrDiscard(cmd.Context())
			// Libraries log through these two.
			ctrl.SetLogger(opt.Log)
			klog.SetLogger(opt.Log.WithName("client"))
			config, err := ctrl.GetConfig()
			if err != nil {
				return fmt.Errorf("find the cluster (run in a pod, or set KUBECONFIG): %w", err)
			}
			return Run(cmd.Context(), config, opt)
		},
	}
	f := cmd.Flags()
	f.StringVar(&opt.Namespace, "namespace", opt.Namespace, "namespace of the operator: its lease and its CAs")
	f.StringVar(&opt.MediaNamespace, "media-namespace", opt.MediaNamespace, "namespace of the media pods")
	f.StringVar(
		&opt.ServiceAccount,
		"service-account",
		opt.ServiceAccount,
		"name of the operator's own service account, whose writes the webhook lets pass",
	)
	f.StringVar(
		&opt.MediaImage,
		"media-image",
		opt.MediaImage,
		"image of the media pods of classes that name none (default the variable MEDIA_IMAGE)",
	)
	f.StringVar(
		&opt.DefaultClass,
		"default-class",
		opt.DefaultClass,
		"file with the MediaClass to make when there is none at all",
	)
	f.IntVar(&opt.WebhookPort, "webhook-port", opt.WebhookPort, "port of the admission webhook; -1 turns it off")
	f.StringVar(
		&opt.WebhookAddress,
		"webhook-address",
		opt.WebhookAddress,
		"address that the webhook listens on (default all)",
	)
	f.StringVar(
		&opt.WebhookURL,
		"webhook-url",
		opt.WebhookURL,
		"URL at which the API server reaches the webhook of an operator outside of the cluster, such as "+
			"https://192.0.2.7:10250/validate",
	)
	f.StringVar(
		&mode,
		"webhook-certs",
		mode,
		"where the webhook's certificate comes from: BuiltIn, CertManager or Provided",
	)
	f.StringVar(
		&opt.CertDir,
		"webhook-cert-dir",
		opt.CertDir,
		"folder with tls.crt and tls.key for CertManager and Provided, and ca.crt for Provided",
	)
	f.DurationVar(&opt.CAOverlap, "ca-overlap", opt.CAOverlap, "how long a new CA is in the bundles before it signs")
	f.Float64Var(&opt.QPS, "kube-api-qps", opt.QPS, "requests to the API server in a second, in the mean")
	f.IntVar(&opt.Burst, "kube-api-burst", opt.Burst, "requests to the API server at once")
	f.IntVar(&opt.Concurrency, "concurrency", opt.Concurrency, "objects of a kind that are reconciled at once")
	f.BoolVar(
		&opt.LeaderElection,
		"leader-election",
		opt.LeaderElection,
		"let one replica reconcile; false only where there is one replica",
	)
	f.StringVar(&opt.MetricsAddress, "metrics-address", opt.MetricsAddress, "host:port of /metrics; 0 turns it off")
	f.StringVar(
		&opt.HealthAddress,
		"health-address",
		opt.HealthAddress,
		"host:port of /healthz and /readyz; 0 turns them off",
	)
	f.DurationVar(
		&opt.ShutdownDelay,
		"shutdown-delay",
		opt.ShutdownDelay,
		"how long the webhook still answers after SIGTERM, until nobody calls it any more",
	)
	cmd.AddCommand(newCheckCommand())
	return cmd
}

// check finds options that cannot be meant.
func (o *Options) check() error {
	switch {
	case o.CertMode != CertsBuiltIn && o.CertMode != CertsCertManager && o.CertMode != CertsProvided:
		return fmt.Errorf("--webhook-certs %s: want BuiltIn, CertManager or Provided", o.CertMode)
	case o.WebhookPort < -1 || o.WebhookPort == 0 || o.WebhookPort > 65535:
		return fmt.Errorf("--webhook-port %d: want 1 to 65535, or -1", o.WebhookPort)
	case o.QPS <= 0 || o.Burst <= 0 || o.Concurrency <= 0:
		return fmt.Errorf("--kube-api-qps, --kube-api-burst and --concurrency: want more than 0")
	case o.Namespace == "" || o.MediaNamespace == "" || o.ServiceAccount == "":
		return fmt.Errorf("--namespace, --media-namespace and --service-account: want names")
	case o.CAOverlap < 0 || o.ShutdownDelay < 0:
		return fmt.Errorf("--ca-overlap and --shutdown-delay: want no less than 0")
	}
	if u, err := url.Parse(o.WebhookURL); err != nil || o.WebhookURL != "" && (u.Scheme != "https" || u.Host == "") {
		return fmt.Errorf("--webhook-url %s: want an https:// URL", o.WebhookURL)
	}
	return nil
}
