package plan

import (
	"fmt"
	"slices"
	"strings"
)

// Action says what happened to an entry of a Plan.
type Action string

// The actions.
const (
	Added   Action = "added"
	Removed Action = "removed"
	Changed Action = "changed"
)

// Consequence says who is disconnected by a change.
type Consequence string

// The consequences. A change that takes nobody's right disconnects nobody.
const (
	ConsequenceNone  Consequence = "none"
	PublishersClosed Consequence = "publishers closed"
	ViewersClosed    Consequence = "viewers closed"
)

// Difference is what changes for whom between two Plans.
type Difference struct {
	Changes []Change `json:"changes,omitempty"`
}

// Change is what changes for one domain or template.
type Change struct {
	Kind   string        `json:"kind"` // push domain, play domain, template, plan
	Name   string        `json:"name"`
	Action Action        `json:"action"`
	Fields []FieldChange `json:"fields,omitempty"` // of a Changed entry
	// Consequence is the gravest of all fields, and Reason says for whom and why.
	Consequence Consequence `json:"consequence"`
	Reason      string      `json:"reason,omitempty"`
}

// FieldChange is a field before and after, as text. Keys and certificates are never part of it.
type FieldChange struct {
	Field       string      `json:"field"`
	Old         string      `json:"old"`
	New         string      `json:"new"`
	Consequence Consequence `json:"consequence"`
	Reason      string      `json:"reason,omitempty"`
}

// Empty reports whether nothing changes.
func (d Difference) Empty() bool { return len(d.Changes) == 0 }

// String prints one line for each change.
func (d Difference) String() string {
	var b strings.Builder
	for _, c := range d.Changes {
		b.WriteString(c.String())
		b.WriteByte('\n')
	}
	return b.String()
}

// String prints the change in one line.
func (c Change) String() string {
	line := fmt.Sprintf("%s %s %s", c.Action, c.Kind, c.Name)
	for i, f := range c.Fields {
		sep := ", "
		if i == 0 {
			sep = ": "
		}
		line += fmt.Sprintf("%s%s %s -> %s", sep, f.Field, f.Old, f.New)
	}
	if c.Consequence != ConsequenceNone {
		line += fmt.Sprintf(" (%s: %s)", c.Consequence, c.Reason)
	}
	return line
}

// Diff says what changes for whom when new takes the place of old. Either may be nil: a Plan that has nothing.
func Diff(old, new *Plan) Difference {
	if old == nil {
		old = &Plan{}
	}
	if new == nil {
		new = &Plan{}
	}
	var d Difference
	if old.Class != new.Class && old.Class != "" {
		d.Changes = append(d.Changes, Change{Kind: "plan", Name: new.Class, Action: Changed, Consequence: ConsequenceNone,
			Fields: []FieldChange{{Field: "Class", Old: text(old.Class), New: text(new.Class), Consequence: ConsequenceNone}}})
	}
	d.Changes = append(d.Changes, diffEntries(old.Push, new.Push, entries[PushDomain]{
		kind:   "push domain",
		name:   func(p *PushDomain) string { return p.Hostname },
		fields: pushFields(),
		removed: func(p *PushDomain) (Consequence, string) {
			if p.Offline || p.Space == "" {
				return ConsequenceNone, ""
			}
			return PublishersClosed, "the domain does not exist any more"
		},
	})...)
	d.Changes = append(d.Changes, diffEntries(old.Play, new.Play, entries[PlayDomain]{
		kind:   "play domain",
		name:   func(p *PlayDomain) string { return p.Hostname },
		fields: playFields(),
		removed: func(p *PlayDomain) (Consequence, string) {
			if p.Offline {
				return ConsequenceNone, ""
			}
			return ViewersClosed, "the domain does not exist any more"
		},
	})...)
	d.Changes = append(d.Changes, diffEntries(old.Templates, new.Templates, templateEntries(old, new))...)
	return d
}

// entries says how the entries of one list are compared.
type entries[T any] struct {
	kind    string
	name    func(*T) string // identity, and what is printed
	fields  []field[T]
	removed func(*T) (Consequence, string)
}

// field is a field of an entry: its value for comparing, and who is disconnected when it changes.
type field[T any] struct {
	name        string
	value       func(*T) any
	text        func(*T) string                         // nil: the value itself
	consequence func(old, new *T) (Consequence, string) // nil: nobody
}

func diffEntries[T any](old, new []T, e entries[T]) []Change {
	before, after := map[string]*T{}, map[string]*T{}
	names := make([]string, 0, len(old)+len(new))
	for i := range old {
		before[e.name(&old[i])] = &old[i]
		names = append(names, e.name(&old[i]))
	}
	for i := range new {
		after[e.name(&new[i])] = &new[i]
		names = append(names, e.name(&new[i]))
	}
	slices.Sort(names)
	names = slices.Compact(names)
	out := make([]Change, 0, len(names))
	for _, name := range names {
		a, b := before[name], after[name]
		c := Change{Kind: e.kind, Name: name, Consequence: ConsequenceNone}
		switch {
		case a == nil:
			c.Action = Added
		case b == nil:
			c.Action = Removed
			c.Consequence, c.Reason = e.removed(a)
		default:
			c.Action, c.Fields = Changed, changedFields(a, b, e.fields)
			if len(c.Fields) == 0 {
				continue
			}
			c.conclude()
		}
		out = append(out, c)
	}
	return out
}

func (c *Change) conclude() {
	var reasons []string
	for _, f := range c.Fields {
		if f.Consequence != ConsequenceNone {
			c.Consequence = f.Consequence
			reasons = append(reasons, f.Reason)
		}
	}
	c.Reason = strings.Join(reasons, "; ")
}

func changedFields[T any](a, b *T, fields []field[T]) []FieldChange {
	var out []FieldChange
	for _, f := range fields {
		if equal(f.value(a), f.value(b)) {
			continue
		}
		c := FieldChange{Field: f.name, Consequence: ConsequenceNone}
		if f.text != nil {
			c.Old, c.New = f.text(a), f.text(b)
		} else {
			c.Old, c.New = text(f.value(a)), text(f.value(b))
		}
		if c.Old == c.New {
			c.New += " (other)"
		}
		if f.consequence != nil {
			c.Consequence, c.Reason = f.consequence(a, b)
		}
		out = append(out, c)
	}
	return out
}
