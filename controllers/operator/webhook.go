package operator

import (
	"context"
	"crypto/tls"
	"time"

	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/manager"
	"sigs.k8s.io/controller-runtime/pkg/webhook"

	"github.com/millrace/millrace/controllers/admission"
)

func (o *Options) site() admission.Site {
	return admission.Site{Namespace: o.Namespace, ServiceAccount: o.ServiceAccount, URL: o.WebhookURL}
}

func newWebhookServer(opt Options, trust *trust) webhook.Server {
	return webhook.NewServer(webhook.Options{
		Host: opt.WebhookAddress,
		Port: opt.WebhookPort,
		TLSOpts: []func(*tls.Config){func(c *tls.Config) {
			c.MinVersion = tls.VersionTLS12
			c.GetCertificate = trust.certificate
		}},
	})
}

// addWebhook serves admission requests in every replica and lets the leader keep the configuration.
func addWebhook(mgr manager.Manager, direct client.Client, opt Options, trust *trust) error {
	log := opt.Log.WithName("admission")
	server := mgr.GetWebhookServer()
	server.Register(admission.Path, &webhook.Admission{Handler: &admission.Validator{
		Live: mgr.GetAPIReader(), Cached: mgr.GetClient(), Log: log,
	}})
	if err := mgr.AddReadyzCheck("webhook", server.StartedChecker()); err != nil {
		return err
	}
	if err := mgr.AddReadyzCheck("webhook-trusted", admission.Ready(mgr.GetCache(), opt.site(), trust.certificate,
		time.Now)); err != nil {
		return err
	}
	keeper := &admission.Keeper{
		Client:  mgr.GetClient(),
		Site:    opt.site(),
		Bundle:  trust.bundle(),
		Changes: trust.changes(),
		Test:    func(ctx context.Context) error { return admission.SelfTest(ctx, direct, opt.Namespace) },
		Log:     log,
	}
	return keeper.SetUp(mgr)
}
