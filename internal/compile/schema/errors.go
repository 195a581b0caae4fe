package schema

import (
	"fmt"
	"slices"
	"strings"

	structural "k8s.io/apiextensions-apiserver/pkg/apiserver/schema"
	"k8s.io/apimachinery/pkg/util/validation/field"
)

// unknownField makes the error for a field that the schema does not have, and names the closest one that it has.
func unknownField(root *structural.Structural, path string) *field.Error {
	parent, name := "", path
	if i := strings.LastIndexByte(path, '.'); i >= 0 {
		parent, name = path[:i], path[i+1:]
	}
	detail := "unknown field"
	if near := Closest(name, fieldsAt(root, parent)); near != "" {
		detail = fmt.Sprintf("unknown field, did you mean %s?", near)
	}
	return field.Forbidden(field.NewPath(path), detail)
}

// fieldsAt lists the fields of the object at a path such as spec.standard or spec.list[2].
func fieldsAt(s *structural.Structural, path string) []string {
	root := true
	for _, step := range strings.Split(path, ".") {
		if step == "" {
			break
		}
		root = false
		name, _, _ := strings.Cut(step, "[")
		next, ok := s.Properties[name]
		if !ok {
			return nil
		}
		s = &next
		for range strings.Count(step, "[") {
			if s.Items == nil {
				return nil
			}
			s = s.Items
		}
	}
	var names []string
	for name := range s.Properties {
		if !root || name != "status" {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}

// Closest finds the candidate that a misspelt name most likely meant; "" when none is near. Candidates should be
// sorted.
func Closest(name string, candidates []string) string {
	best, bestDistance := "", 1+max(1, len(name)/3)
	for _, c := range candidates {
		if d := distance(strings.ToLower(name), strings.ToLower(c)); d < bestDistance {
			best, bestDistance = c, d
		}
	}
	return best
}

// distance is the number of letters to insert, delete, replace or swap with their neighbour that makes one name of
// another. Names are cut at 64 bytes.
func distance(a, b string) int {
	a, b = a[:min(len(a), 64)], b[:min(len(b), 64)]
	before, last := make([]int, len(b)+1), make([]int, len(b)+1)
	for j := range last {
		last[j] = j
	}
	for i := range len(a) {
		row := make([]int, len(b)+1)
		row[0] = i + 1
		for j := range len(b) {
			cost := 1
			if a[i] == b[j] {
				cost = 0
			}
			row[j+1] = min(last[j+1]+1, row[j]+1, last[j]+cost)
			if i > 0 && j > 0 && a[i] == b[j-1] && a[i-1] == b[j] {
				row[j+1] = min(row[j+1], before[j-1]+1)
			}
		}
		before, last = last, row
	}
	return last[len(b)]
}

// readable rewords what the schema library says in terms of JSON schema, and drops errors that only follow from others.
func readable(errs field.ErrorList) field.ErrorList {
	wrongType := map[string]bool{}
	for _, e := range errs {
		if e.Type == field.ErrorTypeTypeInvalid {
			wrongType[e.Field] = true
		}
	}
	var out field.ErrorList
	for _, e := range errs {
		// A value of another type breaks all other rules of the field too.
		if wrongType[e.Field] && e.Type != field.ErrorTypeTypeInvalid {
			continue
		}
		// "must validate one and only one schema" and the like always come with the error that matters.
		if e.Field == "<nil>" && strings.Contains(e.Detail, "must validate") {
			continue
		}
		if at := strings.Index(e.Detail, " in body "); at >= 0 {
			e.Detail = strings.TrimSpace(e.Detail[at+len(" in body "):])
		}
		out = append(out, e)
	}
	return out
}
