package compile

import (
	"fmt"
	"net/netip"
	"strings"

	"k8s.io/apimachinery/pkg/api/equality"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/millrace/millrace/api/v1alpha1"
	"github.com/millrace/millrace/internal/contract"
)

// unserved is a field of a spec that nothing acts on yet. Whoever sets it is told so by the webhook, by "millrace
// validate" and "millrace standalone", and by the condition Served. A row goes when its field works.
type unserved[T any] struct {
	// set returns the paths at which an object sets the field to something that has no effect.
	set func(*T) []string
	// message says what does not happen, and the remedy.
	message string
}

func unservedOfPush() []unserved[v1alpha1.PushDomain] {
	return []unserved[v1alpha1.PushDomain]{{
		set:     func(o *v1alpha1.PushDomain) []string { return when(o.Spec.Notify != nil, "spec.notify") },
		message: "callbacks are not made yet, nobody calls the URL: remove the field, and watch LiveStream objects instead",
	}}
}

// unservedOfPlay leaves a sub out: its billingMode is void in any case.
func unservedOfPlay() []unserved[v1alpha1.PlayDomain] {
	return []unserved[v1alpha1.PlayDomain]{{
		set:     func(o *v1alpha1.PlayDomain) []string { return when(o.Spec.BillingMode != "", "spec.billingMode") },
		message: "traffic is not metered yet, the mode changes nothing: remove the field until it is",
	}}
}

func unservedOfClass() []unserved[v1alpha1.MediaClass] {
	return []unserved[v1alpha1.MediaClass]{{
		set: func(o *v1alpha1.MediaClass) []string {
			return when(!untouched(o.Spec.Pools.Recorder), "spec.pools.recorder")
		},
		message: "streams are not recorded yet, the pool never has pods: remove the field",
	}, {
		set: func(o *v1alpha1.MediaClass) []string {
			var out []string
			for i, text := range o.Spec.Pools.Relay.Exposure.Advertise {
				out = append(out, when(!isAddress(text), fmt.Sprintf("spec.pools.relay.exposure.advertise[%d]", i))...)
			}
			return out
		},
		message: "clients are told IP addresses only, anything else is left out: " +
			"give an IP address, with :port if it differs",
	}, {
		set: func(o *v1alpha1.MediaClass) []string {
			p := &o.Spec.Pools
			var out []string
			for _, pool := range []struct {
				role contract.Role
				spec *v1alpha1.Pool
			}{{contract.Ingest, &p.Ingest}, {contract.Edge, &p.Edge}, {contract.Transcoder, &p.Transcoder.Pool}} {
				field := fmt.Sprintf("spec.pools.%s.exposure.advertise", pool.role)
				out = append(out, when(len(pool.spec.Exposure.Advertise) > 0, field)...)
			}
			return out
		},
		message: "only relays tell clients addresses: remove the field, and point the DNS of the hostnames there instead",
	}}
}

// notServed adds a problem for each field that an object sets and nothing serves.
func notServed[T any](v *Verdict, o *T, table []unserved[T]) {
	for _, row := range table {
		for _, field := range row.set(o) {
			v.Problems = append(v.Problems, Problem{
				Condition: v1alpha1.ConditionServed, Reason: v1alpha1.ReasonNotServedYet, Field: field, Message: row.message,
			})
		}
	}
}

// served adds the condition Served, which is present only while it is False.
func (v *Verdict) served() {
	var messages []string
	for _, p := range v.Problems {
		if p.Condition == v1alpha1.ConditionServed {
			messages = append(messages, p.Field+": "+p.Message)
		}
	}
	if len(messages) > 0 {
		v.Conditions = append(v.Conditions, Condition{
			Type: v1alpha1.ConditionServed, Status: metav1.ConditionFalse, Reason: v1alpha1.ReasonNotServedYet,
			Message: strings.Join(messages, "; "),
		})
	}
}

func when(set bool, field string) []string {
	if set {
		return []string{field}
	}
	return nil
}

// untouched reports whether a pool has nothing but the defaults of its CRD.
func untouched(p v1alpha1.Pool) bool {
	if p.Exposure.Type == v1alpha1.ExposeHostPort {
		p.Exposure.Type = ""
	}
	if p.DrainSeconds != nil && *p.DrainSeconds == contract.DefaultDrainSeconds {
		p.DrainSeconds = nil
	}
	return equality.Semantic.DeepEqual(p, v1alpha1.Pool{})
}

// isAddress reports whether a text is an IP address, with or without a port.
func isAddress(text string) bool {
	text = strings.TrimSpace(text)
	_, err := netip.ParseAddr(text)
	if err != nil {
		_, err = netip.ParseAddrPort(text)
	}
	return err == nil
}
