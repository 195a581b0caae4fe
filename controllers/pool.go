package controllers

import (
	"context"
	"fmt"
	"strings"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/log"

	"github.com/millrace/millrace/api/v1alpha1"
	"github.com/millrace/millrace/controllers/board"
	"github.com/millrace/millrace/controllers/fleet"
	"github.com/millrace/millrace/controllers/render"
	"github.com/millrace/millrace/controllers/status"
	"github.com/millrace/millrace/internal/contract"
)

// pool makes one pool be as it should.
func (r mediaClasses) pool(ctx context.Context, s *scope) error {
	s.pool = render.PoolOf(s.class, s.key.Role)
	s.pool.Namespace, s.pool.OperatorNamespace = r.MediaNamespace, r.OperatorNamespace
	if s.pool.Image = s.pool.Spec.Image; s.pool.Image == "" {
		s.pool.Image = s.image
		s.pool.Kept = s.class.Spec.Image == "" && s.image != r.Image
	}
	if !s.exists {
		return r.removePool(ctx, s.key)
	}
	existed := r.fleet.Facts(s.key).Exists
	err := r.applyPool(ctx, s)
	if err != nil && s.problem == nil {
		s.problem = &status.Problem{Reason: v1alpha1.ReasonApplyFailed, Message: brief(err)}
	}
	services, listErr := r.services(ctx, s.key)
	if listErr != nil {
		return listErr
	}
	view := r.fleet.View(s.key)
	s.addresses = fleet.Addresses(&s.pool, view.Pods, r.fleet.Nodes(), perPod(services))
	endpoints := fleet.Endpoints(&s.pool, services[s.pool.Name()], view.Pods, r.fleet.Nodes())
	r.fleet.UpdateFacts(s.key, func(f *fleet.Facts) {
		f.Visited, f.Exists, f.Desired, f.Endpoints, f.Reason, f.Message = true, true, s.desired, endpoints, "", ""
		if s.problem != nil {
			f.Reason, f.Message = s.problem.Reason, s.problem.Message
		}
	})
	if !existed {
		r.plans.Add("", s.key.Class)
	}
	return err
}

// applyPool writes the objects of a pool.
func (r mediaClasses) applyPool(ctx context.Context, s *scope) error {
	p := &s.pool
	if p.Image == "" {
		s.problem = &status.Problem{
			Reason:  v1alpha1.ReasonNoImage,
			Message: "Neither the class nor the operator names an image: set spec.image of the class",
		}
		return nil
	}
	renew, err := r.certificate(ctx, s.key, p.Labels())
	if err != nil {
		return err
	}
	s.wait = sooner(s.wait, renew)
	var live *appsv1.Deployment
	var deployment appsv1.Deployment
	if err := r.client.Get(ctx, client.ObjectKey{Namespace: p.Namespace, Name: p.Name()}, &deployment); err == nil {
		live = &deployment
	} else if !apierrors.IsNotFound(err) {
		return fmt.Errorf("read Deployment %s: %w", p.Name(), err)
	}
	p.Pinned = render.Pin(p, live)
	replicas, fixed := p.Replicas()
	s.desired = replicas
	if !fixed && live != nil && live.Spec.Replicas != nil {
		s.desired = *live.Spec.Replicas
	}
	if s.desired == 0 {
		s.problem = &status.Problem{
			Reason:  v1alpha1.ReasonNoReplicas,
			Message: fmt.Sprintf("The pool %s of class %s has no replicas: the platform has to give it some", p.Role, p.Class),
		}
	}
	services, err := r.services(ctx, s.key)
	if err != nil {
		return err
	}
	for _, pod := range r.fleet.View(s.key).Pods {
		p.Pods = append(p.Pods, pod.Name)
	}
	p.NodePorts = map[string]int32{}
	for pod, service := range perPod(services) {
		if len(service.Spec.Ports) > 0 {
			p.NodePorts[pod] = service.Spec.Ports[0].NodePort
		}
	}
	objects := render.Objects(p)
	for _, o := range objects {
		wrote, err := r.apply.Apply(ctx, o)
		if err != nil {
			return err
		}
		if wrote {
			log.FromContext(ctx).V(1).Info("Applied", "kind", o.GetObjectKind().GroupVersionKind().Kind, "name", o.GetName())
		}
	}
	if _, err := r.apply.Prune(ctx, p.Namespace, p.Class, p.Role, objects); err != nil {
		return err
	}
	return r.tend(ctx, s)
}

// services of a pool, by name.
func (c *core) services(ctx context.Context, k fleet.PoolKey) (map[string]*corev1.Service, error) {
	var list corev1.ServiceList
	labels := client.MatchingLabels{contract.LabelClass: k.Class, contract.LabelRole: string(k.Role)}
	if err := c.client.List(ctx, &list, client.InNamespace(c.MediaNamespace), labels); err != nil {
		return nil, fmt.Errorf("list the Services of pool %s: %w", contract.PoolName(k.Class, k.Role), err)
	}
	out := map[string]*corev1.Service{}
	for i := range list.Items {
		out[list.Items[i].Name] = &list.Items[i]
	}
	return out, nil
}

// perPod picks the Services of single pods, by pod.
func perPod(services map[string]*corev1.Service) map[string]*corev1.Service {
	out := map[string]*corev1.Service{}
	for _, s := range services {
		if pod := s.Labels[render.LabelPod]; pod != "" {
			out[pod] = s
		}
	}
	return out
}

// remove takes away what a class leaves behind.
func (r mediaClasses) remove(ctx context.Context, class string) error {
	for _, role := range contract.Roles() {
		if err := r.removePool(ctx, fleet.PoolKey{Class: class, Role: role}); err != nil {
			return err
		}
	}
	return nil
}

// removePool takes a pool away, pods first. They drain as at any end.
func (r mediaClasses) removePool(ctx context.Context, k fleet.PoolKey) error {
	n, err := r.apply.Prune(ctx, r.MediaNamespace, k.Class, k.Role, nil)
	if err != nil {
		return err
	}
	if n > 0 {
		log.FromContext(ctx).Info("Removed a pool that nothing needs", "pool", contract.PoolName(k.Class, k.Role))
	}
	names := append(contract.PlanSecretNames(k.Class, k.Role), contract.TLSSecretName(k.Class, k.Role))
	for _, name := range names {
		about := board.SecretMetadata()
		if err := r.metadata.Get(ctx, client.ObjectKey{Namespace: r.MediaNamespace, Name: name}, about); apierrors.IsNotFound(
			err,
		) {
			continue
		} else if err != nil {
			return fmt.Errorf("read the metadata of Secret %s: %w", name, err)
		}
		if about.Labels[contract.LabelManagedBy] != contract.ManagedBy {
			continue
		}
		if err := r.client.Delete(ctx, about); client.IgnoreNotFound(err) != nil {
			return fmt.Errorf("delete Secret %s: %w", name, err)
		}
	}
	r.fleet.UpdateFacts(k, func(f *fleet.Facts) { *f = fleet.Facts{Visited: true} })
	return nil
}

// brief is an error as a condition says it: one line.
func brief(err error) string {
	text := strings.ReplaceAll(err.Error(), "\n", "; ")
	return text[:min(len(text), 512)]
}

// tend keeps the names of pods on them as labels, where Services of single pods need that, and their cost, so that the
// emptiest goes first.
func (r mediaClasses) tend(ctx context.Context, s *scope) error {
	for _, p := range r.fleet.View(s.key).Pods {
		if p.Terminating {
			continue
		}
		labels, annotations := map[string]any{}, map[string]any{}
		if s.pool.PerPodServices() && !p.Labelled {
			labels[render.LabelPod] = p.Name
		}
		if seen, heard := r.Observer.Pod(p.Name); heard {
			if cost := fleet.DeletionCost(seen.Sessions); cost != p.DeletionCost && (cost != "0" || p.DeletionCost != "") {
				annotations[render.AnnotationDeletionCost] = cost
			}
		}
		if len(labels)+len(annotations) == 0 {
			continue
		}
		if err := r.patchPod(ctx, p.Name, labels, annotations); err != nil {
			return err
		}
	}
	return nil
}
