package operator

import (
	"context"

	"sigs.k8s.io/controller-runtime/pkg/manager"

	"github.com/millrace/millrace/controllers"
)

// controllerOptions are what of the options concerns the reconcilers.
func controllerOptions(opt Options) controllers.Options {
	out := controllers.DefaultOptions()
	out.OperatorNamespace, out.MediaNamespace, out.Image = opt.Namespace, opt.MediaNamespace, opt.MediaImage
	out.QPS, out.Burst, out.Concurrency = float32(opt.QPS), opt.Burst, opt.Concurrency
	return out
}

// addControllers adds the reconcilers; only the leader runs them.
func addControllers(ctx context.Context, mgr manager.Manager, opt Options, trust *trust) error {
	out := controllerOptions(opt)
	out.Certificates = trust.media
	observer, err := addObserver(mgr, opt, trust)
	if err != nil {
		return err
	}
	out.Observer = observer
	_, err = controllers.Setup(ctx, mgr, out)
	return err
}
