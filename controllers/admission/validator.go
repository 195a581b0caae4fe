package admission

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/go-logr/logr"
	admissionv1 "k8s.io/api/admission/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
	webhook "sigs.k8s.io/controller-runtime/pkg/webhook/admission"

	"github.com/millrace/millrace/api/v1alpha1"
	"github.com/millrace/millrace/internal/compile"
)

// deadline is less than the 5 s after which the API server gives up, so that an answer still reaches it.
const deadline = 3 * time.Second

// Validator answers admission requests of all kinds.
type Validator struct {
	// Live reads from the API server, Cached from what the operator watches.
	Live, Cached client.Reader
	Log          logr.Logger
}

// Handle decides about one object. It has no side effects, so a dry run is like any other request. When something
// cannot be read the object is let through with a warning: the reconcilers decide then.
func (v *Validator) Handle(ctx context.Context, req webhook.Request) webhook.Response {
	ctx, cancel := context.WithTimeout(ctx, deadline)
	defer cancel()
	if req.Operation != admissionv1.Create && req.Operation != admissionv1.Update || req.SubResource != "" {
		return webhook.Allowed("")
	}
	candidate, old, err := decode(req)
	if err != nil {
		return webhook.Errored(http.StatusBadRequest, err)
	}
	if candidate == nil {
		return webhook.Allowed("")
	}
	// A cache may be behind, so nobody is refused because of one: what it would refuse is looked at again with live reads.
	verdict, err := judge(ctx, reads{live: v.Live, other: v.Cached}, candidate, old)
	if err == nil && len(verdict.refusals) > 0 {
		verdict, err = judge(ctx, reads{live: v.Live, other: v.Live}, candidate, old)
	}
	if err != nil {
		v.Log.Error(
			err,
			"Checking an object failed, it is let through",
			"kind",
			req.Kind.Kind,
			"namespace",
			req.Namespace,
			"name",
			req.Name,
		)
		return webhook.Allowed("").WithWarnings("not all rules could be checked right now: see the conditions of the object")
	}
	if len(verdict.refusals) == 0 {
		return webhook.Allowed("").WithWarnings(verdict.warnings...)
	}
	v.Log.V(1).
		Info("Refused an object", "kind", req.Kind.Kind, "namespace", req.Namespace, "name", req.Name, "reason",
			verdict.refusals[0].Reason)
	return refuse(req, verdict.refusals)
}

// decode reads the candidate and, on an update, what it was. A kind without rules gives nil.
func decode(req webhook.Request) (candidate, old client.Object, err error) {
	if candidate = newObject(req.Kind.Kind); candidate == nil {
		return nil, nil, nil
	}
	if err := json.Unmarshal(req.Object.Raw, candidate); err != nil {
		return nil, nil, fmt.Errorf("read the %s: %w", req.Kind.Kind, err)
	}
	if candidate.GetNamespace() == "" {
		candidate.SetNamespace(req.Namespace)
	}
	if req.Operation == admissionv1.Create {
		return candidate, nil, nil
	}
	old = newObject(req.Kind.Kind)
	if err := json.Unmarshal(req.OldObject.Raw, old); err != nil {
		return nil, nil, fmt.Errorf("read the %s as it was: %w", req.Kind.Kind, err)
	}
	return candidate, old, nil
}

func newObject(kind string) client.Object {
	switch kind {
	case v1alpha1.KindPushDomain:
		return &v1alpha1.PushDomain{}
	case v1alpha1.KindPlayDomain:
		return &v1alpha1.PlayDomain{}
	case v1alpha1.KindDomainAssociation:
		return &v1alpha1.DomainAssociation{}
	case v1alpha1.KindRTSTranscodeTemplate:
		return &v1alpha1.RTSTranscodeTemplate{}
	case v1alpha1.KindMediaClass:
		return &v1alpha1.MediaClass{}
	}
	return nil
}

// refuse words a refusal: kubectl prints the causes, other clients the message. The type of a cause is the reason that
// the condition of the object would have.
func refuse(req webhook.Request, problems []compile.Problem) webhook.Response {
	status := metav1.Status{
		Status: metav1.StatusFailure,
		Code:   http.StatusUnprocessableEntity,
		Reason: metav1.StatusReasonInvalid,
		Details: &metav1.StatusDetails{
			Group: req.Kind.Group, Kind: req.Kind.Kind, Name: req.Name,
		},
	}
	var texts []string
	for _, p := range problems {
		text := p.Message
		if p.Field != "" {
			text = p.Field + ": " + p.Message
		}
		texts = append(texts, fmt.Sprintf("%s (%s)", text, p.Reason))
		status.Details.Causes = append(status.Details.Causes, metav1.StatusCause{
			Type: metav1.CauseType(p.Reason), Field: p.Field, Message: fmt.Sprintf("%s (%s)", p.Message, p.Reason),
		})
	}
	status.Message = fmt.Sprintf("%s %q is refused: %s", req.Kind.Kind, req.Name, strings.Join(texts, "; "))
	return webhook.Response{AdmissionResponse: admissionv1.AdmissionResponse{Allowed: false, Result: &status}}
}
