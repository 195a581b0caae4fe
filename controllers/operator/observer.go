package operator

import (
	"context"
	"time"

	"github.com/go-logr/logr"
	"sigs.k8s.io/controller-runtime/pkg/manager"

	"github.com/millrace/millrace/controllers/livestream"
	"github.com/millrace/millrace/controllers/observe"
	"github.com/millrace/millrace/controllers/pki"
	"github.com/millrace/millrace/internal/contract/identity"
	"github.com/millrace/millrace/internal/kube"
)

// addObserver adds what listens to the media pods, and writes LiveStreams from it; only the leader runs it.
func addObserver(mgr manager.Manager, opt Options, trust *trust) (*observe.Observer, error) {
	self := &operatorIdentity{from: trust.media, log: opt.Log.WithName("identity")}
	if err := self.renew(); err != nil {
		return nil, err
	}
	peers, err := kube.For(mgr.GetConfig(), kube.Options{Namespace: opt.MediaNamespace, Log: opt.Log.WithName("observe")})
	if err != nil {
		return nil, err
	}
	o := observe.New(
		observe.Options{TLS: self.identity.Client(identity.Pods), Peers: peers, Log: opt.Log.WithName("observe")},
	)
	w := livestream.New(
		livestream.Options{
			Client:   mgr.GetClient(),
			Live:     mgr.GetAPIReader(),
			Observer: o,
			Log:      opt.Log.WithName("livestream"),
		},
	)
	for _, one := range []manager.Runnable{self, o, w} {
		if err := mgr.Add(one); err != nil {
			return nil, err
		}
	}
	return o, nil
}

// operatorIdentity is as whom the operator goes to the pods.
type operatorIdentity struct {
	from     *pki.Authority
	log      logr.Logger
	identity *identity.Identity
	renewAt  time.Time
}

// retryRenewal is how long a renewal that failed waits.
const retryRenewal = time.Minute

func (i *operatorIdentity) renew() error {
	issued, err := i.from.IssueOperator()
	if err != nil {
		return err
	}
	if i.identity == nil {
		i.identity, err = identity.New(issued.Cert, issued.Key, issued.Bundle)
	} else {
		err = i.identity.Set(issued.Cert, issued.Key, issued.Bundle)
	}
	i.renewAt = issued.RenewAt
	return err
}

// NeedLeaderElection says that each replica has an identity.
func (i *operatorIdentity) NeedLeaderElection() bool { return false }

// Start renews the identity in time, and when the authority has changed, until the context ends.
func (i *operatorIdentity) Start(ctx context.Context) error {
	changes := i.from.Changes()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-changes:
		case <-time.After(max(time.Until(i.renewAt), time.Second)):
		}
		if err := i.renew(); err != nil {
			i.log.Error(err, "Renewing the operator's own certificate failed, trying again")
			i.renewAt = time.Now().Add(retryRenewal)
		}
	}
}
