package controllers

import (
	"context"

	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/millrace/millrace/api/v1alpha1"
	"github.com/millrace/millrace/controllers/fleet"
	"github.com/millrace/millrace/controllers/status"
	"github.com/millrace/millrace/internal/contract"
)

// +kubebuilder:rbac:groups=live.millrace.dev,resources=rtstranscodetemplates,verbs=get;list;watch
// +kubebuilder:rbac:groups=live.millrace.dev,resources=rtstranscodetemplates/status,verbs=patch

// templates reconciles RTSTranscodeTemplates.
type templates struct{ *core }

// Reconcile reports on a template: it is in force when the transcoders know it, and the pods whose viewers may ask for
// it.
func (r templates) Reconcile(ctx context.Context, req ctrl.Request) (ctrl.Result, error) {
	var o v1alpha1.RTSTranscodeTemplate
	if err := r.client.Get(ctx, req.NamespacedName, &o); err != nil {
		return ctrl.Result{}, client.IgnoreNotFound(err)
	}
	result := r.board.Result()
	d := result.Decision(v1alpha1.KindRTSTranscodeTemplate, &o)
	if d == nil || o.DeletionTimestamp != nil {
		return ctrl.Result{}, nil
	}
	var serving status.Serving
	ready, desired := 0, 0
	if main := result.Domain(d.Main); main != nil {
		entry := fleet.TemplateEntry(d.Main, o.Spec.TemplateID)
		transcoders := fleet.PoolKey{Class: main.Class, Role: contract.Transcoder}
		if r.early(d.Accepted, transcoders) {
			return ctrl.Result{RequeueAfter: again}, nil
		}
		serving = r.serving(transcoders, entry)
		leftOut(&serving, d)
		ready, desired = r.fleet.View(transcoders).Ready, int(r.fleet.Facts(transcoders).Desired)
		for _, role := range []contract.Role{contract.Relay, contract.Edge} {
			if serving.Of > 0 && fleet.Needs(result.Plan(main.Class), role) {
				p := r.fleet.Progress(fleet.PoolKey{Class: main.Class, Role: role}, entry)
				serving.Done, serving.Of = serving.Done+p.Done, serving.Of+p.Of
			}
		}
	}
	sessions := r.Observer.Template(d.Main, o.Spec.TemplateID).Sessions
	want, wait := status.RTSTranscodeTemplate(&o, &d.Verdict, serving, sessions, ready, desired, r.Now())
	calm := want
	calm.Sessions = o.Status.Sessions
	return r.report(ctx, &o, &o.Status, &want, &calm, wait)
}
