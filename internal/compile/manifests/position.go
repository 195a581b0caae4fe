package manifests

import (
	"strconv"
	"strings"

	"gopkg.in/yaml.v3"
)

// line finds the line of a field such as spec.access.ips[3]; for a field that is not there, the line of the closest one
// above it.
func (d *document) line(field string) int {
	node, line := d.node, d.node.Line
	for _, step := range steps(field) {
		key, value := find(node, step)
		if value == nil {
			break
		}
		line, node = key.Line, value
	}
	return min(d.offset+line, d.last)
}

// steps splits a field path into names and indices: spec, access, ips, [3].
func steps(field string) []string {
	var out []string
	for field != "" {
		if field[0] == '[' {
			end := strings.IndexByte(field, ']')
			if end < 0 {
				return out
			}
			out, field = append(out, field[:end+1]), strings.TrimPrefix(field[end+1:], ".")
			continue
		}
		end := strings.IndexAny(field, ".[")
		if end < 0 {
			return append(out, field)
		}
		out = append(out, field[:end])
		field = strings.TrimPrefix(field[end:], ".")
	}
	return out
}

// find takes one step down. It returns the node whose line stands for the step, and the value.
func find(node *yaml.Node, step string) (*yaml.Node, *yaml.Node) {
	node = resolved(node)
	name, index := step, strings.HasPrefix(step, "[")
	if index {
		name = strings.Trim(step, "[]")
	}
	if index && node.Kind == yaml.SequenceNode {
		n, err := strconv.Atoi(name)
		if err != nil || n < 0 || n >= len(node.Content) {
			return nil, nil
		}
		return node.Content[n], resolved(node.Content[n])
	}
	if node.Kind == yaml.MappingNode {
		for i := 0; i+1 < len(node.Content); i += 2 {
			if node.Content[i].Value == name {
				return node.Content[i], resolved(node.Content[i+1])
			}
		}
	}
	return nil, nil
}

func child(node *yaml.Node, name string) *yaml.Node {
	_, value := find(node, name)
	return value
}

// resolved follows an alias to its anchor.
func resolved(node *yaml.Node) *yaml.Node {
	for node.Kind == yaml.AliasNode && node.Alias != nil {
		node = node.Alias
	}
	return node
}
