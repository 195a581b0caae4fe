package render

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"slices"
	"strconv"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"

	"github.com/millrace/millrace/api/v1alpha1"
	"github.com/millrace/millrace/internal/contract"
)

// Pinned is the pod template that a pool keeps while nothing of the class asks for another one.
type Pinned struct {
	Slot int32
	// Inputs names what Template was made from; empty: there is none yet.
	Inputs   string
	Template *corev1.PodTemplateSpec
	// Standby reports whether the pods that are there run `millrace farewell` beside a relay, from the same image.
	Standby bool
}

// Inputs names all of the class that the pod template follows from: another value means other pods. How many there are,
// and what is told about their addresses, is not part of it.
func Inputs(p *Pool) string {
	spec := p.Spec
	spec.Replicas, spec.Autoscaling, spec.Exposure.Advertise, spec.Image = nil, nil, nil, ""
	spec.Exposure.Type = p.Exposure()
	drain := p.DrainSeconds()
	spec.DrainSeconds = &drain
	text, err := json.Marshal(struct {
		Class, Region, Image string
		Role                 contract.Role
		Spec                 v1alpha1.Pool
		Encoder              v1alpha1.Encoder
		MaxSessions          int32
	}{p.Class, p.Region, p.Image, p.Role, spec, p.Encoder, p.MaxSessions})
	if err != nil {
		return "" // such values always encode
	}
	sum := sha256.Sum256(text)
	return hex.EncodeToString(sum[:8])
}

// Pin decides which pod template a pool gets: the one that its Deployment has while the inputs are the same, else a new
// one, in the other slot when the pods take ports of nodes. live is nil when there is no Deployment yet.
func Pin(p *Pool, live *appsv1.Deployment) Pinned {
	if live == nil {
		return Pinned{Inputs: Inputs(p)}
	}
	pinned := pin(p, live)
	pinned.Standby = slices.ContainsFunc(live.Spec.Template.Spec.Containers, func(c corev1.Container) bool {
		return c.Name == contract.CommandFarewell && c.Image == p.Image
	})
	return pinned
}

func pin(p *Pool, live *appsv1.Deployment) Pinned {
	inputs := Inputs(p)
	slot := int32(0)
	if live.Annotations[AnnotationSlot] == "1" {
		slot = 1
	}
	if live.Annotations[AnnotationInputs] == inputs {
		var template corev1.PodTemplateSpec
		if json.Unmarshal([]byte(live.Annotations[AnnotationTemplate]), &template) == nil &&
			len(template.Spec.Containers) > 0 {
			return Pinned{Slot: slot, Inputs: inputs, Template: &template}
		}
		return Pinned{Slot: slot, Inputs: inputs}
	}
	if p.onNode() {
		slot = 1 - slot
	} else {
		slot = 0
	}
	return Pinned{Slot: slot, Inputs: inputs}
}

// annotations record the pin on the Deployment.
func (p *Pool) annotations(template *corev1.PodTemplateSpec) map[string]string {
	text, err := json.Marshal(template)
	if err != nil {
		text = nil // such values always encode; without it the template is rendered anew
	}
	return map[string]string{
		AnnotationInputs:   Inputs(p),
		AnnotationTemplate: string(text),
		AnnotationSlot:     strconv.Itoa(int(p.Pinned.Slot)),
	}
}
