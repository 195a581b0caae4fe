package plan

import (
	"net"
	"slices"
	"strings"
)

// Hostname is the host of a Host header as Plans have it: lower case, without port and trailing dot.
func Hostname(host string) string {
	if h, _, err := net.SplitHostPort(host); err == nil {
		host = h
	}
	return strings.TrimSuffix(strings.ToLower(host), ".")
}

// Index answers the questions that roles ask of a Plan. It is immutable and safe for concurrent use.
type Index struct {
	Plan *Plan

	push      map[string]*PushDomain
	play      map[string]*PlayDomain
	templates map[string][]*Template // by space, longest id first
	repairs   bool
}

// NewIndex indexes a Plan, which must not be changed afterwards.
func NewIndex(p *Plan) *Index {
	x := &Index{
		Plan:      p,
		push:      map[string]*PushDomain{},
		play:      map[string]*PlayDomain{},
		templates: map[string][]*Template{},
	}
	for i := range p.Push {
		x.push[p.Push[i].Hostname] = &p.Push[i]
	}
	for i := range p.Play {
		x.play[p.Play[i].Hostname] = &p.Play[i]
	}
	for i := range p.Templates {
		t := &p.Templates[i]
		x.templates[t.Space] = append(x.templates[t.Space], t)
	}
	for i := range p.Play {
		d := &p.Play[i]
		if d.AutoRepair && !slices.ContainsFunc(x.templates[d.Space], func(t *Template) bool { return t.ID == RepairID }) {
			x.templates[d.Space] = append(x.templates[d.Space], repairTemplate(d.Space))
			x.repairs = true
		}
	}
	for _, ts := range x.templates {
		slices.SortStableFunc(ts, func(a, b *Template) int { return len(b.ID) - len(a.ID) })
	}
	return x
}

// Push finds a push domain by its hostname (lower case, no port); nil when there is none.
func (x *Index) Push(host string) *PushDomain { return x.push[host] }

// Play finds a play domain by its hostname (lower case, no port); nil when there is none.
func (x *Index) Play(host string) *PlayDomain { return x.play[host] }

// SplitTemplate reads a requested name as stream and template: the longest template id of the space and app that the
// name ends with behind "_". It returns the name and nil when no template matches. Callers look for the exact stream
// first.
func (x *Index) SplitTemplate(space, app, name string) (string, *Template) {
	for _, t := range x.templates[space] {
		if !t.Serves(app) {
			continue
		}
		if stream, ok := strings.CutSuffix(name, "_"+t.ID); ok && stream != "" {
			return stream, t
		}
	}
	return name, nil
}

// TemplatesFor lists the templates of a space that serve an app.
func (x *Index) TemplatesFor(space, app string) []*Template {
	var out []*Template
	for _, t := range x.templates[space] {
		if t.Serves(app) {
			out = append(out, t)
		}
	}
	return out
}

// Serves reports whether the template applies to an app.
func (t *Template) Serves(app string) bool {
	return len(t.Apps) == 0 || slices.Contains(t.Apps, app)
}
