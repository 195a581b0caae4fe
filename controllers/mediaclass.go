package controllers

import (
	"context"
	"errors"
	"time"

	ctrl "sigs.k8s.io/controller-runtime"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/millrace/millrace/api/v1alpha1"
	"github.com/millrace/millrace/controllers/apply"
	"github.com/millrace/millrace/controllers/board"
	"github.com/millrace/millrace/controllers/fleet"
	"github.com/millrace/millrace/controllers/render"
	"github.com/millrace/millrace/controllers/status"
	"github.com/millrace/millrace/internal/contract"
	"github.com/millrace/millrace/internal/contract/bundle"
)

// +kubebuilder:rbac:groups=live.millrace.dev,resources=mediaclasses,verbs=get;list;watch
// +kubebuilder:rbac:groups=live.millrace.dev,resources=mediaclasses/status,verbs=patch
// +kubebuilder:rbac:groups="",resources=nodes,verbs=get;list;watch
// +kubebuilder:rbac:groups=apps,namespace=millrace-media,resources=deployments,verbs=get;list;watch;create;patch;delete
// +kubebuilder:rbac:groups="",namespace=millrace-media,resources=services;serviceaccounts,verbs=get;list;watch;create;patch;delete
// +kubebuilder:rbac:groups=policy,namespace=millrace-media,resources=poddisruptionbudgets,verbs=get;list;watch;create;patch;delete
// +kubebuilder:rbac:groups=networking.k8s.io,namespace=millrace-media,resources=networkpolicies,verbs=get;list;watch;create;patch;delete
// +kubebuilder:rbac:groups=autoscaling,namespace=millrace-media,resources=horizontalpodautoscalers,verbs=get;list;watch;create;patch;delete
// +kubebuilder:rbac:groups=rbac.authorization.k8s.io,namespace=millrace-media,resources=roles;rolebindings,verbs=get;list;watch;create;patch;delete
// +kubebuilder:rbac:groups="",namespace=millrace-media,resources=pods,verbs=get;list;watch;patch
// To give the pods' Roles what they have, the operator has it too.
// +kubebuilder:rbac:groups=discovery.k8s.io,namespace=millrace-media,resources=endpointslices,verbs=get;list;watch

// mediaClasses reconciles MediaClasses: the pools of pods.
type mediaClasses struct {
	*core
	apply apply.Applier
	plans *board.Feed // the Plans of a class, when it has other pools
}

// Reconcile makes the pools of a class be as they should, and reports on them.
func (r mediaClasses) Reconcile(ctx context.Context, req ctrl.Request) (ctrl.Result, error) {
	var o v1alpha1.MediaClass
	if err := r.client.Get(ctx, req.NamespacedName, &o); apierrors.IsNotFound(err) {
		return ctrl.Result{}, r.remove(ctx, req.Name)
	} else if err != nil {
		return ctrl.Result{}, err
	}
	d := r.board.Result().Decision(v1alpha1.KindMediaClass, &o)
	if d == nil || o.DeletionTimestamp != nil {
		return ctrl.Result{}, nil
	}
	image := o.Spec.Image
	if image == "" {
		// The operator's own image counts once: what the class has since then stays.
		if image = o.Status.Image; image == "" {
			image = r.Image
		}
	}
	var (
		pools   []v1alpha1.PoolStatus
		problem *status.Problem
		errs    []error
		wait    time.Duration
	)
	for _, role := range contract.Roles() {
		s := &scope{class: &o, key: fleet.PoolKey{Class: o.Name, Role: role}, image: image}
		s.idle(poolStatus(&o, role), d.Accepted && fleet.Needs(r.board.Result().Plan(o.Name), role), r.Now(), r.IdleFor)
		if err := r.pool(ctx, s); err != nil {
			errs = append(errs, err)
		}
		if s.exists {
			pools = append(pools, r.poolStatus(s))
		}
		if s.problem != nil && problem == nil {
			problem = s.problem
		}
		wait = sooner(wait, s.wait)
	}
	known := r.Observer.Synced()
	want, later := status.MediaClass(&o, &d.Verdict, image, pools, problem, known, r.Now())
	result, err := r.report(ctx, &o, &o.Status, &want, calmClass(want, &o.Status), sooner(wait, later))
	return result, errors.Join(append(errs, err)...)
}

// calmClass is a status with the old counts of what changes all day: Plans and the pods that run on them.
func calmClass(s v1alpha1.MediaClassStatus, old *v1alpha1.MediaClassStatus) *v1alpha1.MediaClassStatus {
	s.Pools = append([]v1alpha1.PoolStatus(nil), s.Pools...)
	for i := range s.Pools {
		for j := range old.Pools {
			if s.Pools[i].Role == old.Pools[j].Role {
				s.Pools[i].PlanHash = old.Pools[j].PlanHash
			}
		}
	}
	return &s
}

func poolStatus(o *v1alpha1.MediaClass, role contract.Role) *v1alpha1.PoolStatus {
	for i := range o.Status.Pools {
		if o.Status.Pools[i].Role == string(role) {
			return &o.Status.Pools[i]
		}
	}
	return nil
}

// poolStatus says what is there of a pool.
func (r mediaClasses) poolStatus(s *scope) v1alpha1.PoolStatus {
	v := r.fleet.View(s.key)
	out := v1alpha1.PoolStatus{
		Role: string(s.key.Role), Desired: s.desired, Ready: int32(v.Ready), Draining: int32(v.Draining),
		PlanHash: v.Hash, Programmed: int32(v.Programmed), Image: s.pool.Image, IdleSince: s.idleSince,
	}
	if was := poolStatus(s.class, s.key.Role); was != nil && v.Hash == "" {
		// After a start of the operator its Plan is not delivered yet: what was said before stands.
		out.PlanHash, out.Programmed = was.PlanHash, was.Programmed
	}
	for _, p := range v.Pods {
		if a, ok := s.addresses[p.Name]; ok && len(out.Addresses) < 32 {
			entry := v1alpha1.PodAddress{Pod: p.Name, Rule: a.Rule}
			for _, at := range a.Addresses {
				entry.Addresses = append(entry.Addresses, at.String())
			}
			out.Addresses = append(out.Addresses, entry)
		}
	}
	return out
}

// sooner returns the shorter of two waits; 0 is none.
func sooner(a, b time.Duration) time.Duration {
	if a == 0 || b != 0 && b < a {
		return b
	}
	return a
}

// scope is one pool during a reconcile.
type scope struct {
	class *v1alpha1.MediaClass
	key   fleet.PoolKey
	image string

	exists    bool // it is there, or to be there
	idleSince *metav1.Time
	wait      time.Duration // until it goes

	pool      render.Pool
	desired   int32
	addresses map[string]bundle.Address
	problem   *status.Problem
}

// idle decides whether the pool is to be there: while something needs it, and for a while after.
func (s *scope) idle(was *v1alpha1.PoolStatus, needed bool, now time.Time, idleFor time.Duration) {
	switch {
	case needed:
		s.exists = true
	case was == nil:
	default:
		s.idleSince = was.IdleSince
		if s.idleSince == nil {
			since := metav1.NewTime(now.Truncate(time.Second))
			s.idleSince = &since
		}
		s.wait = s.idleSince.Add(idleFor).Sub(now)
		s.exists = s.wait > 0
	}
	if !s.exists {
		s.wait, s.idleSince = 0, nil
	}
}
