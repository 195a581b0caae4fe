package controllers

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"sync"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/log"

	"github.com/millrace/millrace/api/v1alpha1"
	"github.com/millrace/millrace/controllers/apply"
	"github.com/millrace/millrace/controllers/board"
	"github.com/millrace/millrace/controllers/fleet"
	"github.com/millrace/millrace/controllers/render"
	"github.com/millrace/millrace/internal/contract"
	"github.com/millrace/millrace/internal/contract/bundle"
	"github.com/millrace/millrace/internal/contract/plan"
)

// +kubebuilder:rbac:groups="",resources=secrets,verbs=get;list;watch
// +kubebuilder:rbac:groups="",namespace=millrace-media,resources=secrets,verbs=create;patch;delete

// plans delivers the Plans of a class to its pools, as Secrets.
type plans struct {
	*core

	mu      sync.Mutex
	written map[string]written // by name of the Secret
	last    map[fleet.PoolKey]delivered
}

// written is what the operator knows of a Secret of a Plan.
type written struct {
	version string
	data    map[string][]byte
}

// delivered is the last Plan of a pool.
type delivered struct {
	plan   *plan.Plan
	hash   string
	shrink bool
}

// Reconcile writes what differs of the Plans of a class.
func (r *plans) Reconcile(ctx context.Context, req ctrl.Request) (ctrl.Result, error) {
	var class v1alpha1.MediaClass
	if err := r.client.Get(ctx, req.NamespacedName, &class); err != nil {
		return ctrl.Result{}, client.IgnoreNotFound(err)
	}
	all := r.board.Result().Plan(class.Name)
	if all == nil {
		return ctrl.Result{}, nil // not decided yet, or not accepted: pods keep what they have
	}
	var errs []error
	for _, role := range contract.Roles() {
		k := fleet.PoolKey{Class: class.Name, Role: role}
		if !fleet.Needs(all, role) && !r.fleet.Facts(k).Exists {
			continue
		}
		if err := r.deliver(ctx, &class, k, fleet.ForRole(all, role)); err != nil {
			errs = append(errs, err)
		}
	}
	return ctrl.Result{}, errors.Join(errs...)
}

// deliver writes the Plan of one pool.
func (r *plans) deliver(ctx context.Context, class *v1alpha1.MediaClass, k fleet.PoolKey, p *plan.Plan) error {
	last, err := r.previous(ctx, k)
	if err != nil {
		return err
	}
	shrink, err := r.mayShrink(ctx, k, last, p)
	if err != nil {
		return err
	}
	chunks, hash, err := bundle.Encode(p, bundle.Pool{Role: k.Role, Region: class.Spec.Region, AllowShrink: shrink})
	r.fleet.UpdateFacts(k, func(f *fleet.Facts) {
		f.PlanReason, f.PlanMessage = "", ""
		if err != nil {
			f.PlanReason, f.PlanMessage = v1alpha1.ReasonPlanTooLarge, brief(err)
		}
	})
	if err != nil {
		return fmt.Errorf("encode the plan of pool %s: %w", contract.PoolName(k.Class, k.Role), err)
	}
	if chunks[0][bundle.KeyAddresses], err = r.addresses(ctx, class, k); err != nil {
		return err
	}
	// Number 0 is what pods watch: it is written last, when the others are there.
	for n := len(chunks) - 1; n >= 0; n-- {
		name := contract.PlanSecretName(k.Class, k.Role, n)
		if err := r.write(ctx, name, contract.Labels(k.Class, class.Spec.Region, k.Role), chunks[n]); err != nil {
			return err
		}
	}
	r.mu.Lock()
	r.last[k] = delivered{p, hash, shrink}
	r.mu.Unlock()
	if hash != last.hash {
		log.FromContext(ctx).V(1).Info("Delivered a plan", "pool", contract.PoolName(k.Class, k.Role), "hash", hash)
	}
	r.fleet.Delivered(k, hash, p)
	return nil
}

// previous is the Plan that was delivered last, by this operator or one before it.
func (r *plans) previous(ctx context.Context, k fleet.PoolKey) (delivered, error) {
	r.mu.Lock()
	last, known := r.last[k]
	r.mu.Unlock()
	if known {
		return last, nil
	}
	secrets := make([]map[string][]byte, contract.PlanChunks)
	for n := range secrets {
		var s corev1.Secret
		key := client.ObjectKey{Namespace: r.MediaNamespace, Name: contract.PlanSecretName(k.Class, k.Role, n)}
		if err := r.live.Get(ctx, key, &s); apierrors.IsNotFound(err) {
			continue
		} else if err != nil {
			return last, fmt.Errorf("read Secret %s: %w", key, err)
		}
		secrets[n] = s.Data
		r.mu.Lock()
		r.written[s.Name] = written{s.ResourceVersion, s.Data}
		r.mu.Unlock()
	}
	if b, err := bundle.Decode(secrets); err == nil {
		last = delivered{b.Plan, b.Meta.Hash, b.Meta.AllowShrink}
		r.fleet.Delivered(k, b.Meta.Hash, b.Plan)
	}
	return last, nil
}

// mayShrink reports whether pods may take a Plan that lacks most of what they have. The caches hold everything, so the
// loss is what users asked for; the API server confirms it, for a mistake here would cut everybody off. The permission
// stays until all pods have followed: one that was away goes from the old Plan straight to the newest.
func (r *plans) mayShrink(ctx context.Context, k fleet.PoolKey, last delivered, next *plan.Plan) (bool, error) {
	if last.plan == nil {
		return false, nil
	}
	err := plan.Acceptable(last.plan, next)
	if err == nil {
		v := r.fleet.View(k)
		return last.shrink && v.Programmed < len(v.Pods), nil
	}
	if !errors.Is(err, plan.ErrEmpty) && !errors.Is(err, plan.ErrShrunken) {
		return false, fmt.Errorf("the plan of pool %s is not delivered: %w", contract.PoolName(k.Class, k.Role), err)
	}
	return true, r.confirm(ctx, last.plan, next)
}

// confirm reads live that every hostname that a Plan lost was lost by what users did: no object has it that the board
// does not know.
func (r *plans) confirm(ctx context.Context, old, next *plan.Plan) error {
	x, lost := plan.NewIndex(next), map[string]bool{}
	for i := range old.Push {
		lost[old.Push[i].Hostname] = x.Push(old.Push[i].Hostname) == nil
	}
	for i := range old.Play {
		lost[old.Play[i].Hostname] = x.Play(old.Play[i].Hostname) == nil
	}
	var push v1alpha1.PushDomainList
	var play v1alpha1.PlayDomainList
	for _, list := range []client.ObjectList{&push, &play} {
		if err := r.live.List(ctx, list); err != nil {
			return fmt.Errorf("confirm that domains are gone: list %T: %w", list, err)
		}
	}
	result := r.board.Result()
	unknown := func(kind string, o client.Object, hostname v1alpha1.Hostname) bool {
		d := result.Find(board.Key{Kind: kind, Namespace: o.GetNamespace(), Name: o.GetName()})
		return lost[string(hostname)] && o.GetDeletionTimestamp() == nil && (d == nil || d.UID != string(o.GetUID()))
	}
	for i := range push.Items {
		if o := &push.Items[i]; unknown(v1alpha1.KindPushDomain, o, o.Spec.Hostname) {
			return fmt.Errorf("PushDomain %s/%s exists but was not seen yet: the plan waits for it", o.Namespace, o.Name)
		}
	}
	for i := range play.Items {
		if o := &play.Items[i]; unknown(v1alpha1.KindPlayDomain, o, o.Spec.Hostname) {
			return fmt.Errorf("PlayDomain %s/%s exists but was not seen yet: the plan waits for it", o.Namespace, o.Name)
		}
	}
	return nil
}

// addresses of the pods for media, as they stand in the first Secret. Those of a pod that has none any more stay while
// the pod is there.
func (r *plans) addresses(ctx context.Context, class *v1alpha1.MediaClass, k fleet.PoolKey) ([]byte, error) {
	if k.Role != contract.Relay {
		return nil, nil
	}
	services, err := r.services(ctx, k)
	if err != nil {
		return nil, err
	}
	p, pods := render.PoolOf(class, k.Role), r.fleet.View(k).Pods
	text, err := bundle.EncodeAddresses(fleet.Addresses(&p, pods, r.fleet.Nodes(), perPod(services)))
	if err != nil {
		return nil, fmt.Errorf("pool %s: %w", contract.PoolName(k.Class, k.Role), err)
	}
	return text, nil
}

// write makes a Secret hold data, when it does not, as far as its metadata in the cache tells.
func (r *plans) write(ctx context.Context, name string, labels map[string]string, data map[string][]byte) error {
	if data[bundle.KeyAddresses] == nil {
		delete(data, bundle.KeyAddresses)
	}
	about := board.SecretMetadata()
	key := client.ObjectKey{Namespace: r.MediaNamespace, Name: name}
	err := r.metadata.Get(ctx, key, about)
	if client.IgnoreNotFound(err) != nil {
		return fmt.Errorf("read the metadata of Secret %s: %w", key, err)
	}
	r.mu.Lock()
	is := r.written[name]
	r.mu.Unlock()
	if maps.EqualFunc(is.data, data, bytes.Equal) && !r.tampered(ctx, key, is, about, err) {
		return nil
	}
	wanted, err := apply.Plain(&corev1.Secret{
		TypeMeta:   metav1.TypeMeta{APIVersion: "v1", Kind: "Secret"},
		ObjectMeta: metav1.ObjectMeta{Namespace: r.MediaNamespace, Name: name, Labels: labels},
		Type:       corev1.SecretTypeOpaque,
		Data:       data,
	})
	if err != nil {
		return err
	}
	if err := apply.Write(ctx, r.client, wanted); err != nil {
		return err
	}
	r.mu.Lock()
	r.written[name] = written{wanted.GetResourceVersion(), data}
	r.mu.Unlock()
	return nil
}

// tampered reports whether a Secret is not what was written. The cache may be behind: then the API server is asked.
func (r *plans) tampered(ctx context.Context, key client.ObjectKey, is written, about client.Object, err error) bool {
	if err == nil && about.GetResourceVersion() == is.version {
		return false
	}
	var live corev1.Secret
	if err := r.live.Get(ctx, key, &live); err != nil {
		return true
	}
	if !maps.EqualFunc(live.Data, is.data, bytes.Equal) {
		return true
	}
	r.mu.Lock()
	r.written[key.Name] = written{live.ResourceVersion, live.Data}
	r.mu.Unlock()
	return false
}
