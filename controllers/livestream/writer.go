package livestream

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/go-logr/logr"
	"golang.org/x/time/rate"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/millrace/millrace/api/v1alpha1"
	"github.com/millrace/millrace/controllers/observe"
	"github.com/millrace/millrace/dataplane/announce"
	"github.com/millrace/millrace/internal/contract"
)

// +kubebuilder:rbac:groups=live.millrace.dev,resources=livestreams,verbs=get;list;create;delete
// +kubebuilder:rbac:groups=live.millrace.dev,resources=livestreams/status,verbs=update
// +kubebuilder:rbac:groups=discovery.k8s.io,namespace=millrace-media,resources=endpointslices,verbs=get;list;watch

// Observer is what observe.Observer gives.
type Observer interface {
	Snapshot() *observe.Snapshot
	Synced() bool
	Changed() <-chan struct{}
}

// Options make a Writer.
type Options struct {
	Client   client.Client // reads of PushDomains may come from a cache
	Live     client.Reader // of LiveStreams, past any cache; default: Client
	Observer Observer
	Log      logr.Logger

	WritesPerSecond float64 // over all objects; default 20
	Now             func() time.Time
}

// Writer keeps the LiveStream objects true while it runs. One goroutine does all: streams come and go by the hundred,
// not by the million, and the budget of writes is one.
type Writer struct {
	opt    Options
	budget *rate.Limiter
	have   map[client.ObjectKey]*object
}

// object is a LiveStream as it was written or read last.
type object struct {
	spec    v1alpha1.LiveStreamSpec
	live    *v1alpha1.LiveStream
	written time.Time
}

const (
	roundEvery = time.Second            // when nothing changes
	roundPause = 200 * time.Millisecond // between two rounds
	readEvery  = 10 * time.Minute       // all objects are read again: somebody may have changed or deleted one
)

// New makes a Writer.
func New(opt Options) *Writer {
	if opt.WritesPerSecond <= 0 {
		opt.WritesPerSecond = 20
	}
	if opt.Now == nil {
		opt.Now = time.Now
	}
	if opt.Live == nil {
		opt.Live = opt.Client
	}
	return &Writer{opt: opt, budget: rate.NewLimiter(rate.Limit(opt.WritesPerSecond), max(int(opt.WritesPerSecond), 1))}
}

// NeedLeaderElection says that one replica writes, the leader.
func (w *Writer) NeedLeaderElection() bool { return true }

// Start writes until the context ends.
func (w *Writer) Start(ctx context.Context) error {
	changed := w.opt.Observer.Changed()
	tick := time.NewTicker(roundEvery)
	defer tick.Stop()
	var read time.Time
	for {
		if now := w.opt.Now(); w.have == nil || now.Sub(read) > readEvery {
			if err := w.read(ctx); err != nil {
				w.opt.Log.Error(err, "Reading the LiveStreams failed, trying again")
			} else {
				read = now
			}
		}
		if w.have != nil && w.opt.Observer.Synced() {
			w.round(ctx)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(roundPause):
		}
		select { // something changed or may be due
		case <-ctx.Done():
			return nil
		case <-changed:
		case <-tick.C:
		}
	}
}

// read lists the objects that there are.
func (w *Writer) read(ctx context.Context) error {
	var list v1alpha1.LiveStreamList
	if err := w.opt.Live.List(ctx, &list); err != nil {
		return fmt.Errorf("list LiveStreams: %w", err)
	}
	have := make(map[client.ObjectKey]*object, len(list.Items))
	for i := range list.Items {
		l := &list.Items[i]
		key := client.ObjectKeyFromObject(l)
		one := &object{spec: l.Spec, live: l}
		if old := w.have[key]; old != nil {
			one.written = old.written
		}
		have[key] = one
	}
	w.have = have
	return nil
}

// domains says of each push domain where its streams are shown.
func (w *Writer) domains(ctx context.Context) (map[string]Domain, error) {
	var list v1alpha1.PushDomainList
	if err := w.opt.Client.List(ctx, &list); err != nil {
		return nil, fmt.Errorf("list PushDomains: %w", err)
	}
	out := map[string]Domain{}
	accepted := map[string]bool{}
	for i := range list.Items {
		d := &list.Items[i]
		host, ok := string(d.Spec.Hostname), isAccepted(d.Status.Conditions)
		if _, there := out[host]; there && (accepted[host] || !ok) {
			continue
		}
		accepted[host] = ok
		out[host] = Domain{Namespace: d.Namespace, MaxGOP: time.Duration(d.Spec.Source.MaxGOPMilliseconds) * time.Millisecond}
	}
	return out, nil
}

func isAccepted(all []metav1.Condition) bool {
	for _, c := range all {
		if c.Type == v1alpha1.ConditionAccepted {
			return c.Status == metav1.ConditionTrue
		}
	}
	return false
}

// round looks at every stream and object once.
func (w *Writer) round(ctx context.Context) {
	domains, err := w.domains(ctx)
	if err != nil {
		w.opt.Log.Error(err, "Looking at the streams failed, trying again")
		return
	}
	snap, now := w.opt.Observer.Snapshot(), w.opt.Now()
	wanted := map[client.ObjectKey]struct{}{}
	for _, s := range snap.Streams {
		d, ok := domains[s.PushDomain]
		if !ok || s.State == announce.Held && w.have[key(d, s.Stream)] == nil {
			continue
		}
		k := key(d, s.Stream)
		wanted[k] = struct{}{}
		want := Want(s, snap, d, now)
		w.keep(ctx, k, Spec(s.Stream), &want, now)
	}
	for k, one := range w.have {
		if _, ok := wanted[k]; !ok {
			w.keep(ctx, k, one.spec, nil, now)
		}
	}
}

func key(d Domain, s announce.Stream) client.ObjectKey {
	return client.ObjectKey{Namespace: d.Namespace, Name: Name(Spec(s))}
}

// keep brings one object to what is wanted, when the budget of writes allows; else a later round does.
func (w *Writer) keep(
	ctx context.Context,
	k client.ObjectKey,
	spec v1alpha1.LiveStreamSpec,
	want *v1alpha1.LiveStreamStatus,
	now time.Time,
) {
	one := w.have[k]
	var act Action
	if one == nil {
		if want == nil {
			return
		}
		one, act = &object{spec: spec}, Action{Write: true}
	} else {
		act = Decide(&one.live.Status, want, one.written, now)
	}
	if !act.Write && !act.Delete || !w.budget.AllowN(now, 1) {
		return
	}
	err := w.write(ctx, k, one, want, act, now)
	switch {
	case err == nil:
	case apierrors.IsNotFound(err), apierrors.IsAlreadyExists(err), apierrors.IsConflict(err):
		w.refetch(ctx, k)
	case errors.Is(err, context.Canceled):
	default:
		w.opt.Log.Error(err, "Writing a LiveStream failed, trying again", "LiveStream", k)
	}
}

func (w *Writer) write(
	ctx context.Context,
	k client.ObjectKey,
	one *object,
	want *v1alpha1.LiveStreamStatus,
	act Action,
	now time.Time,
) error {
	if act.Delete {
		err := w.opt.Client.Delete(ctx, one.live, client.Preconditions{UID: &one.live.UID})
		if client.IgnoreNotFound(err) == nil {
			delete(w.have, k)
			return nil
		}
		return err
	}
	if one.live == nil {
		l := &v1alpha1.LiveStream{Spec: one.spec}
		l.Namespace, l.Name = k.Namespace, k.Name
		l.Labels = map[string]string{contract.LabelName: contract.Name, contract.LabelManagedBy: contract.ManagedBy}
		if err := w.opt.Client.Create(ctx, l); err != nil {
			return err
		}
		one.live = l
		w.have[k] = one
	}
	next := one.live.DeepCopy()
	if want != nil {
		next.Status = keepTimes(one.live.Status, *want)
	} else {
		next.Status = Over(one.live.Status, now)
	}
	if err := w.opt.Client.Status().Update(ctx, next); err != nil {
		return err
	}
	one.live, one.written = next, now
	return nil
}

// keepTimes keeps the times of conditions whose status has not changed.
func keepTimes(have, want v1alpha1.LiveStreamStatus) v1alpha1.LiveStreamStatus {
	for i := range want.Conditions {
		for _, old := range have.Conditions {
			if old.Type == want.Conditions[i].Type && old.Status == want.Conditions[i].Status {
				want.Conditions[i].LastTransitionTime = old.LastTransitionTime
			}
		}
	}
	return want
}

// refetch reads an object that is not as it was thought to be.
func (w *Writer) refetch(ctx context.Context, k client.ObjectKey) {
	l := &v1alpha1.LiveStream{}
	err := w.opt.Live.Get(ctx, k, l)
	switch {
	case err == nil:
		w.have[k] = &object{spec: l.Spec, live: l}
	case apierrors.IsNotFound(err):
		delete(w.have, k)
	}
}
