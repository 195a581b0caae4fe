package manifests

import (
	"bytes"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"gopkg.in/yaml.v3"
	utiljson "k8s.io/apimachinery/pkg/util/json"
	sigsyaml "sigs.k8s.io/yaml"
)

// document is one YAML document: its values as the API server reads them, and its nodes for their lines.
type document struct {
	content map[string]any
	node    *yaml.Node // a mapping
	offset  int        // lines of the file before the document
	last    int        // its last line in the file
}

// textDocument is the text of a document.
type textDocument struct {
	text   []byte
	offset int
}

func (d textDocument) last() int {
	return d.offset + max(1, bytes.Count(bytes.TrimSuffix(d.text, []byte("\n")), []byte("\n"))+1)
}

// split cuts a file at the lines that end or begin a document. A document that begins on the line of its marker keeps
// that line.
func split(text []byte) []textDocument {
	text = bytes.TrimPrefix(text, []byte("\xef\xbb\xbf"))
	var out []textDocument
	current := textDocument{}
	flush := func(nextOffset int) {
		if len(bytes.TrimSpace(current.text)) > 0 {
			out = append(out, current)
		}
		current = textDocument{offset: nextOffset}
	}
	line := 0
	for raw := range bytes.Lines(text) {
		marker := strings.TrimRight(string(raw[:min(len(raw), 4)]), "\r\n")
		switch marker {
		case "---", "...":
			flush(line + 1)
		case "--- ", "---\t":
			flush(line)
			current.text = append(current.text, "    "...)
			current.text = append(current.text, raw[4:]...)
		default:
			current.text = append(current.text, raw...)
		}
		line++
	}
	flush(line)
	return out
}

// parse reads a document. It returns nil for one that holds nothing but comments.
func parse(d textDocument) (*document, int, error) {
	var root yaml.Node
	if err := yaml.Unmarshal(d.text, &root); err != nil {
		line, err := located(err, d)
		return nil, line, err
	}
	if root.Kind == 0 || len(root.Content) == 0 {
		return nil, 0, nil
	}
	node := root.Content[0]
	if node.Kind == yaml.ScalarNode && node.Tag == "!!null" {
		return nil, 0, nil
	}
	line := min(d.offset+node.Line, d.last())
	if node.Kind != yaml.MappingNode {
		return nil, line, fmt.Errorf("is not an object: it needs apiVersion, kind and metadata")
	}
	json, err := sigsyaml.YAMLToJSONStrict(d.text)
	if err != nil {
		line, err := located(err, d)
		return nil, line, err
	}
	var content map[string]any
	if err := utiljson.Unmarshal(json, &content); err != nil {
		return nil, line, fmt.Errorf("is not an object: %w", err)
	}
	return &document{content: content, node: node, offset: d.offset, last: d.last()}, line, nil
}

// located takes the line out of what a YAML parser says, counted in the file.
func located(err error, d textDocument) (int, error) {
	message := err.Error()
	for _, prefix := range []string{"error converting YAML to JSON: ", "yaml: ", "unmarshal errors:"} {
		message = strings.TrimSpace(strings.TrimPrefix(message, prefix))
	}
	message, _, _ = strings.Cut(message, "\n")
	line := d.offset + 1
	pattern := regexp.MustCompile(`\bline (\d+):? ?`)
	if at := pattern.FindStringSubmatchIndex(message); at != nil {
		if n, err := strconv.Atoi(message[at[2]:at[3]]); err == nil {
			if countsFromZero(message) {
				n++
			}
			// YAML has more kinds of line breaks than editors show.
			line = min(d.offset+n, d.last())
			message = strings.TrimSpace(message[:at[0]] + message[at[1]:])
		}
	}
	return line, fmt.Errorf("is not YAML: %s", message)
}

// countsFromZero tells the errors of yaml.v3's parser from those of its scanner: it prints the lines of the former from
// zero.
func countsFromZero(message string) bool {
	_, expected, found := strings.Cut(message, "did not find expected ")
	return found &&
		slices.ContainsFunc(
			[]string{"key", "node content", "'-' indicator", "',' or", "<document start>"},
			func(what string) bool {
				return strings.HasPrefix(expected, what)
			},
		)
}

// items returns the objects of a document: itself, or what a List holds.
func (d *document) items() ([]*document, error) {
	kind, _ := d.content["kind"].(string)
	if !strings.HasSuffix(kind, "List") {
		return []*document{d}, nil
	}
	values, ok := d.content["items"].([]any)
	if !ok {
		return nil, fmt.Errorf("is a list without items")
	}
	nodes := child(d.node, "items")
	var out []*document
	for i, value := range values {
		content, ok := value.(map[string]any)
		if !ok {
			return nil, fmt.Errorf("has an item %d that is not an object", i)
		}
		node := d.node
		if nodes != nil && nodes.Kind == yaml.SequenceNode && i < len(nodes.Content) {
			node = resolved(nodes.Content[i])
		}
		out = append(out, &document{content: content, node: node, offset: d.offset, last: d.last})
	}
	return out, nil
}
