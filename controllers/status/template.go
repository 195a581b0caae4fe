package status

import (
	"fmt"
	"time"

	"github.com/millrace/millrace/api/v1alpha1"
	"github.com/millrace/millrace/internal/compile"
)

// RTSTranscodeTemplate computes the status of a template, and when to look again. desired and ready are the transcoders
// of the class.
func RTSTranscodeTemplate(
	o *v1alpha1.RTSTranscodeTemplate,
	v *compile.Verdict,
	s Serving,
	sessions, ready, desired int,
	now time.Time,
) (v1alpha1.RTSTranscodeTemplateStatus, time.Duration) {
	b := begin(o.Status.Conditions, o.Generation, now)
	b.verdict(v)
	b.programmed(v, s)
	wait := b.conclude(nil, whole()...)
	out := v1alpha1.RTSTranscodeTemplateStatus{
		ObservedGeneration: o.Generation, Conditions: b.conditions, Size: "source",
		Sessions: int32(sessions), Ready: int32(ready), Desired: int32(desired),
	}
	if o.Spec.Video != nil && o.Spec.Video.Width > 0 {
		out.Size = fmt.Sprintf("%dx%d", o.Spec.Video.Width, o.Spec.Video.Height)
	}
	return out, wait
}
