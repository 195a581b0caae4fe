package main

import (
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

const module = "github.com/millrace/millrace"

// importGraph reads what each package of the module imports, tests left out, whatever the platform. Keys are folders.
func importGraph(t *testing.T) map[string][]string {
	t.Helper()
	graph := map[string][]string{}
	err := filepath.WalkDir(".", func(file string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name := entry.Name()
		if entry.IsDir() {
			if file != "." && strings.HasPrefix(name, ".") || name == "node_modules" || name == "testdata" {
				return fs.SkipDir
			}
			if _, err := os.Stat(filepath.Join(file, "go.mod")); err == nil && file != "." {
				return fs.SkipDir // a module of its own
			}
			return nil
		}
		if !strings.HasSuffix(name, ".go") || strings.HasSuffix(name, "_test.go") {
			return nil
		}
		parsed, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.ImportsOnly)
		if err != nil {
			return err
		}
		folder := filepath.ToSlash(filepath.Dir(file))
		imports := graph[folder]
		for _, spec := range parsed.Imports {
			imported, err := strconv.Unquote(spec.Path.Value)
			if err != nil {
				return err
			}
			imports = append(imports, imported)
		}
		graph[folder] = imports
		return nil
	})
	if err != nil {
		t.Fatalf("reading the imports of the module: %v", err)
	}
	return graph
}

// reaches gives the imports by which a package comes to one below a prefix, the package itself first; nil when it does not.
func reaches(graph map[string][]string, from string, prefixes ...string) []string {
	seen := map[string]bool{}
	var search func(folder string) []string
	search = func(folder string) []string {
		if seen[folder] {
			return nil
		}
		seen[folder] = true
		for _, imported := range graph[folder] {
			for _, prefix := range prefixes {
				if imported == prefix || strings.HasPrefix(imported, prefix+"/") {
					return []string{folder, imported}
				}
			}
			if own, ok := strings.CutPrefix(imported, module+"/"); ok {
				if way := search(own); way != nil {
					return append([]string{folder}, way...)
				}
			}
		}
		return nil
	}
	return search(from)
}

// below tells whether a folder is one of those given or lies below one.
func below(folder string, roots ...string) bool {
	return slices.ContainsFunc(roots, func(root string) bool { return folder == root || strings.HasPrefix(folder, root+"/") })
}

func TestImportsPointOneWay(t *testing.T) {
	graph := importGraph(t)
	kubernetes := []string{"k8s.io", "sigs.k8s.io"}
	media := []string{
		"dataplane/media", "dataplane/hub", "dataplane/ingest", "dataplane/relay", "dataplane/plan", "dataplane/urlauth", "dataplane/play", "dataplane/pull", "dataplane/pod/podspec", "dataplane/pod/identity", "dataplane/announce", "dataplane/directory",
		"dataplane/certificates", "dataplane/testsrc", "dataplane/transcode", "dataplane/edge",
	}
	for _, root := range media {
		if _, ok := graph[root]; !ok {
			t.Errorf("%s is named by the rules but is no package", root)
		}
	}
	for folder := range graph {
		var forbidden []string
		if below(folder, "dataplane", "api") {
			forbidden = append(forbidden, module+"/controllers")
		}
		if below(folder, "api") {
			forbidden = append(forbidden, module+"/dataplane")
		}
		if below(folder, media...) {
			forbidden = append(forbidden, kubernetes...)
		}
		if below(folder, "dataplane/compile") {
			forbidden = append(forbidden, module+"/dataplane/hub", module+"/dataplane/ingest", module+"/dataplane/relay", "net/http")
		}
		if way := reaches(graph, folder, forbidden...); way != nil {
			t.Errorf("%s must not import this: %s", folder, strings.Join(way, " -> "))
		}
	}
	// What shows that the search finds ways: compile reaches Kubernetes itself, the root through other packages.
	for _, folder := range []string{"dataplane/compile", "."} {
		if reaches(graph, folder, kubernetes...) == nil {
			t.Errorf("%s is not seen to reach Kubernetes, so the search is broken", folder)
		}
	}
}

func TestEveryPackageStandsInTheArchitecture(t *testing.T) {
	text, err := os.ReadFile("docs/architecture.md")
	if err != nil {
		t.Fatal(err)
	}
	graph := importGraph(t)
	for folder := range graph {
		if !strings.Contains(string(text), "\n| `"+folder+"` |") {
			t.Errorf("docs/architecture.md has no line for package %s", folder)
		}
	}
	for line := range strings.Lines(string(text)) {
		if rest, ok := strings.CutPrefix(line, "| `"); ok {
			folder, _, _ := strings.Cut(rest, "`")
			if _, exists := graph[folder]; !exists && below(folder, "api", "config", "controllers", "dataplane") {
				t.Errorf("docs/architecture.md names %s, which is no package", folder)
			}
		}
	}
}
