// Package image makes container images without an engine: a list says what is in an image, Collect finds it on this
// machine, and Write makes an archive that containerd imports. The Dockerfile is made of the same lists.
package image

import (
	"fmt"
	"strings"

	"sigs.k8s.io/yaml"
)

// List says what is in an image.
type List struct {
	Entrypoint []string `json:"entrypoint"`
	User       string   `json:"user"`
	Ports      []string `json:"ports"`
	Files      []File   `json:"files"`
	Programs   []string `json:"programs"` // found in PATH, and with all libraries that they load
}

// File is one file of an image.
type File struct {
	From     string `json:"from"`    // an absolute path of this machine, or the name of a file that was built
	Content  string `json:"content"` // instead of From
	To       string `json:"to"`
	Optional bool   `json:"optional"`
}

// The lists that there are.
const (
	Operator = "operator"
	Media    = "media"
)

// Read reads a list by its name.
func Read(name string) (List, error) {
	body, err := lists.ReadFile(name + ".yaml")
	if err != nil {
		return List{}, fmt.Errorf("no list of an image named %q: there are %s and %s", name, Operator, Media)
	}
	return Parse(body)
}

// Parse reads a list.
func Parse(body []byte) (List, error) {
	var l List
	if err := yaml.UnmarshalStrict(body, &l); err != nil {
		return List{}, fmt.Errorf("reading the list of an image: %w", err)
	}
	for _, f := range l.Files {
		if !strings.HasPrefix(f.To, "/") || (f.From == "") == (f.Content == "") {
			return List{}, fmt.Errorf("list of an image: %+v wants an absolute \"to\", and one of \"from\" and \"content\"", f)
		}
	}
	return l, nil
}

// Statically is the list of an image that holds one static program.
func Statically(program string) List {
	return List{Entrypoint: []string{"/" + program}, Files: []File{{From: program, To: "/" + program}}}
}
