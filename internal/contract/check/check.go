// Package check holds the facts of a source against what a push domain asks of its sources: the table of checks, and
// what it says of a source. Whoever refuses, warns of or describes sources ranges over that table.
package check

import (
	"strings"
	"time"

	"github.com/millrace/millrace/dataplane/media"
	"github.com/millrace/millrace/internal/contract/plan"
)

// Reason names a property of a source that browsers cannot play, or that makes playing worse.
type Reason string

// Violation is a property of a source that a policy does not let pass in silence.
type Violation struct {
	Reason  Reason
	Message string // what is wrong and what to do about it
	Reject  bool   // the source is to be closed; else it is only shown
}

// Policies say what is asked of a source.
type Policies struct {
	BFrames, H265 plan.Policy
	MaxGOP        time.Duration // 0: no limit
}

// PoliciesOf returns what a push domain asks.
func PoliciesOf(d *plan.PushDomain) Policies {
	return Policies{BFrames: d.BFrames, H265: d.H265, MaxGOP: d.MaxGOP}
}

// Check compares the facts of a source with the policies, in the order of the table. Checks that only inform are left
// out.
func Check(f media.Facts, p Policies) []Violation {
	var out []Violation
	for _, row := range Table() {
		policy := plan.Warn
		if row.policy != nil {
			policy = row.policy(p)
		}
		if row.Informs || policy == plan.Allow {
			continue
		}
		if wrong := row.wrong(f, p); wrong != "" {
			out = append(out, Violation{row.Reason, row.message(wrong, p), row.CanReject() && policy == plan.Reject})
		}
	}
	return out
}

// Compliance is what is said of a source to people.
type Compliance struct {
	Faults  []Violation // whatever the policies allow: browsers do not know them
	Notices []Violation // what only informs
}

// Describe holds the facts of a source against all checks. Of the policies only the limits count.
func Describe(f media.Facts, limits Policies) Compliance {
	var out Compliance
	for _, row := range Table() {
		wrong := row.wrong(f, limits)
		if wrong == "" {
			continue
		}
		v := Violation{Reason: row.Reason, Message: row.message(wrong, limits)}
		if row.Informs {
			out.Notices = append(out.Notices, v)
		} else {
			out.Faults = append(out.Faults, v)
		}
	}
	return out
}

// Alike reports whether two facts of one source fail the same checks.
func Alike(a, b media.Facts, p Policies) bool {
	for _, row := range Table() {
		if (row.wrong(a, p) == "") != (row.wrong(b, p) == "") {
			return false
		}
	}
	return true
}

// message joins what is wrong with what to do. A limit stands in the place of the name of its field.
func (r *Row) message(wrong string, p Policies) string {
	remedy := r.Remedy
	if r.limit != nil {
		remedy = strings.ReplaceAll(remedy, "`"+r.Field+"`", r.limit(p))
	}
	return wrong + "; " + remedy
}
