// Command apidoc writes the reference of the API as Markdown from the CRDs, so that it says what the API server says.
package main

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	"sigs.k8s.io/yaml"
)

func main() {
	crds := flag.String("crds", "config/crd/bases", "folder of CRDs")
	out := flag.String("o", "docs/api.md", "file to write")
	flag.Parse()
	if err := run(*crds, *out); err != nil {
		fmt.Fprintln(os.Stderr, "apidoc:", err)
		os.Exit(1)
	}
}

func run(folder, out string) error {
	paths, err := filepath.Glob(filepath.Join(folder, "*.yaml"))
	if err != nil {
		return fmt.Errorf("find CRDs in %s: %w", folder, err)
	}
	if len(paths) == 0 {
		return fmt.Errorf("find CRDs in %s: there are none", folder)
	}
	var crds []apiextensionsv1.CustomResourceDefinition
	for _, path := range paths {
		text, err := os.ReadFile(path)
		if err != nil {
			return fmt.Errorf("read a CRD: %w", err)
		}
		var crd apiextensionsv1.CustomResourceDefinition
		if err := yaml.UnmarshalStrict(text, &crd); err != nil {
			return fmt.Errorf("parse %s: %w", path, err)
		}
		crds = append(crds, crd)
	}
	// The order in which a reader needs the kinds.
	order := []string{
		"PushDomain", "PlayDomain", "DomainAssociation", "RTSTranscodeTemplate", "LiveStream", "MediaClass", "DomainClaim",
	}
	for i := range crds {
		if kind := crds[i].Spec.Names.Kind; !slices.Contains(order, kind) {
			return fmt.Errorf("the kind %s has no place in the order of the reference", kind)
		}
	}
	slices.SortFunc(crds, func(a, b apiextensionsv1.CustomResourceDefinition) int {
		return slices.Index(order, a.Spec.Names.Kind) - slices.Index(order, b.Spec.Names.Kind)
	})
	// A page of documentation is for all to read.
	if err := os.WriteFile(out, []byte(page(crds)), 0o644); err != nil {
		return fmt.Errorf("write the reference: %w", err)
	}
	return nil
}

func page(crds []apiextensionsv1.CustomResourceDefinition) string {
	var b strings.Builder
	b.WriteString(
		"# API reference\n\nGenerated from the CRDs by `make generate`; `kubectl explain` shows the same text. All kinds " +
			"are of " +
			"`live.millrace.dev/v1alpha1`.\n\nThe rules here look at one object alone. The rules between objects (hostnames, " +
			"associations, templates, " +
			"grants) are told by the conditions of `status`, and offline by `millrace validate`.\n\n" +
			"| kind | short name | scope | what it is |\n|---|---|---|---|\n",
	)
	for _, crd := range crds {
		n := crd.Spec.Names
		fmt.Fprintf(&b, "| [%s](#%s) | `%s` | %s | %s |\n", n.Kind, strings.ToLower(n.Kind), strings.Join(n.ShortNames, ", "),
			strings.ToLower(string(crd.Spec.Scope)), cell(crd.Spec.Versions[0].Schema.OpenAPIV3Schema.Description))
	}
	for _, crd := range crds {
		version := crd.Spec.Versions[0]
		root := version.Schema.OpenAPIV3Schema
		fmt.Fprintf(&b, "\n## %s\n\n%s\n", crd.Spec.Names.Kind, root.Description)
		var columns []string
		for _, c := range version.AdditionalPrinterColumns {
			if c.Priority == 0 {
				columns = append(columns, strings.ToUpper(c.Name))
			}
		}
		fmt.Fprintf(&b, "\n`kubectl get %s` prints: %s.\n", crd.Spec.Names.ShortNames[0], strings.Join(columns, ", "))
		for _, part := range []string{"spec", "status"} {
			schema := root.Properties[part]
			t := &table{}
			t.rules("`"+part+"`", &schema)
			t.walk(part, &schema)
			fmt.Fprintf(
				&b,
				"\n### %s %s\n\n| field | type | bounds | default | |\n|---|---|---|---|---|\n%s",
				crd.Spec.Names.Kind,
				part,
				t.rows.String(),
			)
			if t.notes.Len() > 0 {
				fmt.Fprintf(&b, "\nRules:\n\n%s", t.notes.String())
			}
		}
	}
	return b.String()
}

// cell makes text fit into a cell of a Markdown table.
func cell(text string) string {
	return strings.ReplaceAll(strings.Join(strings.Fields(text), " "), "|", "\\|")
}
