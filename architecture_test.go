package main

import (
	"go/parser"
	"go/token"
	"io/fs"
	"maps"
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

// reaches returns the imports by which a package comes to one below a prefix, the package itself first; nil when it
// does not.
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

// below reports whether a folder is one of those given or lies below one.
func below(folder string, roots ...string) bool {
	return slices.ContainsFunc(
		roots,
		func(root string) bool { return folder == root || strings.HasPrefix(folder, root+"/") },
	)
}

// arrow forbids packages to reach others, through whatever lies between.
type arrow struct {
	from   []string // folders, with all below
	except []string // folders below from that may
	never  []string // import paths, with all below
	why    string
}

// own returns import paths of this module.
func own(folders ...string) []string {
	out := make([]string, len(folders))
	for i, f := range folders {
		out[i] = module + "/" + f
	}
	return out
}

// arrows are the directions of imports.
func arrows() []arrow {
	kubernetes := []string{"k8s.io", "sigs.k8s.io"}
	return []arrow{
		{from: []string{"api"}, never: own("controllers", "dataplane", "internal"), why: "the API stands alone"},
		{from: []string{"dataplane"}, never: own("controllers"), why: "pods know nothing of the operator"},
		{
			from:   []string{"internal"},
			except: []string{"internal/cli", "internal/testkit"},
			never:  own("controllers"),
			why:    "both sides use it",
		},
		{
			from: []string{
				"dataplane",
			}, except: []string{"dataplane/standalone"}, never: own("internal/compile", "internal/cli", "internal/play",
				"internal/testsrc"),
			why: "a role serves a Plan, wherever it comes from",
		},
		{
			from: []string{
				"dataplane/media",
				"dataplane/flv",
				"dataplane/mux",
			}, never: own("internal", "dataplane/hub", "dataplane/ingest", "dataplane/relay", "dataplane/edge", "dataplane/pod"),
			why: "formats have no policy and know no Plan",
		},
		{
			from: []string{"internal/compile"}, never: append(own("dataplane"), "net/http"),
			why: "what it decides depends on objects alone",
		},
		{
			from: []string{
				"dataplane/media", "dataplane/flv", "dataplane/mux", "dataplane/hub", "dataplane/ingest", "dataplane/relay",
				"dataplane/edge", "dataplane/transcode",
				"dataplane/pull", "dataplane/announce", "dataplane/directory", "dataplane/urlauth", "dataplane/certificates",
				"internal/contract", "internal/play", "internal/testsrc",
			}, never: kubernetes, why: "the media path runs without Kubernetes",
		},
	}
}

func TestImportsPointOneWay(t *testing.T) {
	graph := importGraph(t)
	for _, a := range arrows() {
		for _, root := range append(slices.Clone(a.from), a.except...) {
			if !slices.ContainsFunc(
				slices.Collect(maps.Keys(graph)),
				func(folder string) bool { return below(folder, root) },
			) {
				t.Errorf("%s is named by the rules but is no package", root)
			}
		}
		for folder := range graph {
			if !below(folder, a.from...) || below(folder, a.except...) {
				continue
			}
			if way := reaches(graph, folder, a.never...); way != nil {
				t.Errorf("%s must not import this (%s): %s", folder, a.why, strings.Join(way, " -> "))
			}
		}
	}
	// What shows that the search finds ways: compile reaches Kubernetes itself, the root through other packages.
	for _, folder := range []string{"internal/compile", "."} {
		if reaches(graph, folder, "k8s.io", "sigs.k8s.io") == nil {
			t.Errorf("%s is not seen to reach Kubernetes, so the search is broken", folder)
		}
	}
}

// TestTheControlPlaneKnowsPodsByTheirContract looks at what controllers import themselves: of the data plane only what
// pods announce.
func TestTheControlPlaneKnowsPodsByTheirContract(t *testing.T) {
	allowed := own("dataplane/announce", "dataplane/media")
	for folder, imports := range importGraph(t) {
		for _, imported := range imports {
			if below(folder, "controllers") && strings.HasPrefix(imported, module+"/dataplane/") &&
				!slices.Contains(allowed, imported) {
				t.Errorf("%s imports %s; what both sides agree on belongs to internal/contract", folder, imported)
			}
		}
	}
}

// TestOnlyTestsUseTheTestkit: what the product needs does not live among the tools of tests. The API server of the
// controllers' tests is a tool of tests too.
func TestOnlyTestsUseTheTestkit(t *testing.T) {
	for folder, imports := range importGraph(t) {
		for _, imported := range imports {
			if !below(folder, "internal/testkit", "e2e", "controllers/envtest") &&
				strings.HasPrefix(imported, module+"/internal/testkit") {
				t.Errorf("%s imports %s", folder, imported)
			}
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
			if _, exists := graph[folder]; !exists &&
				below(folder, "api", "config", "controllers", "dataplane", "internal") {
				t.Errorf("docs/architecture.md names %s, which is no package", folder)
			}
		}
	}
}
