package controllers

import (
	"time"

	"k8s.io/client-go/rest"

	"github.com/millrace/millrace/controllers/fleet"
	"github.com/millrace/millrace/controllers/pki"
	"github.com/millrace/millrace/internal/contract"
)

// Certificates returns media pods their identities.
type Certificates interface {
	// IssuePod signs a leaf for the pods of a pool.
	IssuePod(class string, role contract.Role) (pki.Issued, error)
	// KeepPod tells until when a leaf may stay, and false when a new one is due.
	KeepPod(certPEM []byte, class string, role contract.Role) (time.Time, bool)
	// Bundle is every CA that a leaf in use may be signed by.
	Bundle() []byte
	// Changes returns a channel that gets a value after each change of the CA or of the bundle.
	Changes() <-chan struct{}
}

// Options of the operator's controllers.
type Options struct {
	// OperatorNamespace is where the operator runs, MediaNamespace where media pods do.
	OperatorNamespace, MediaNamespace string
	// Image of classes that name none, when they are first seen.
	Image string
	// IdleFor is how long a pool stays after the last object that needed it.
	IdleFor time.Duration
	// CountsEvery is how often the counts in the status of an object may change.
	CountsEvery time.Duration
	// Concurrency is the number of objects of a kind that are reconciled at once.
	Concurrency int
	// QPS and Burst bound the requests to the API server.
	QPS   float32
	Burst int
	// Quiet and Most are how long a pass over all objects waits for changes to stop, and how long at most.
	Quiet, Most time.Duration
	// Observer listens to the media pods; nil: nobody does.
	Observer fleet.Observer
	// Certificates signs for media pods; nil: they get no Secret, somebody else makes it.
	Certificates Certificates
	// Now is the clock; nil: time.Now.
	Now func() time.Time
	// AnyName allows several sets of controllers in one process, for tests.
	AnyName bool
}

// DefaultOptions are those of a small cluster; the command line changes them.
func DefaultOptions() Options {
	return Options{
		OperatorNamespace: contract.OperatorNamespace,
		MediaNamespace:    contract.MediaNamespace,
		IdleFor:           5 * time.Minute,
		CountsEvery:       15 * time.Second,
		Concurrency:       4,
		QPS:               200,
		Burst:             400,
		Quiet:             30 * time.Millisecond,
		Most:              300 * time.Millisecond,
	}
}

// Client returns a configuration for the API server with the bounds of the options.
func (o *Options) Client(config *rest.Config) *rest.Config {
	out := rest.CopyConfig(config)
	out.QPS, out.Burst = o.QPS, o.Burst
	return out
}

func (o *Options) fill() {
	d := DefaultOptions()
	if o.OperatorNamespace == "" {
		o.OperatorNamespace = d.OperatorNamespace
	}
	if o.MediaNamespace == "" {
		o.MediaNamespace = d.MediaNamespace
	}
	if o.IdleFor == 0 {
		o.IdleFor = d.IdleFor
	}
	if o.CountsEvery == 0 {
		o.CountsEvery = d.CountsEvery
	}
	if o.Concurrency == 0 {
		o.Concurrency = d.Concurrency
	}
	if o.Quiet == 0 {
		o.Quiet = d.Quiet
	}
	if o.Most == 0 {
		o.Most = d.Most
	}
	if o.Observer == nil {
		o.Observer = fleet.Deaf{}
	}
	if o.Now == nil {
		o.Now = time.Now
	}
}
