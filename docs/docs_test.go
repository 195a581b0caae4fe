// Package docs holds no code: its tests keep the documentation true.
package docs

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/millrace/millrace/internal/compile/manifests"
)

// pages lists the Markdown files that are kept true, as paths from here.
func pages(t *testing.T) []string {
	t.Helper()
	var all []string
	for _, pattern := range []string{"*.md", "*/*.md", "../*.md", "../examples/*.md"} {
		found, err := filepath.Glob(pattern)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, found...)
	}
	if len(all) < 5 {
		t.Fatalf("only %v found", all)
	}
	return all
}

func read(t *testing.T, name string) string {
	t.Helper()
	text, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// yamlBlocks returns the fenced blocks of YAML of a page.
func yamlBlocks(page string) []string {
	var blocks []string
	for _, part := range strings.Split(page, "\n```yaml\n")[1:] {
		block, _, _ := strings.Cut(part, "\n```")
		blocks = append(blocks, block+"\n")
	}
	return blocks
}

// Whoever copies a manifest from the documentation gets a service that runs.
func TestManifestsInTheDocumentationAreAccepted(t *testing.T) {
	loader, err := manifests.NewLoader()
	if err != nil {
		t.Fatal(err)
	}
	for _, page := range pages(t) {
		for i, block := range yamlBlocks(read(t, page)) {
			set, findings := loader.Parse(page, []byte(block))
			out, more := set.Compile()
			for _, finding := range append(findings, more...) {
				t.Errorf("block %d: %s", i+1, finding)
			}
			for _, v := range out.Verdicts {
				if !v.Accepted {
					t.Errorf("%s, block %d: %s/%s is not accepted: %s", page, i+1, v.Kind, v.Name, v.Message)
				}
			}
			if len(set.Objects) == 0 {
				t.Errorf("%s, block %d has no object", page, i+1)
			}
		}
	}
}

func TestQuickStartIsWhatThePageShows(t *testing.T) {
	blocks := yamlBlocks(read(t, "../README.md"))
	if len(blocks) != 1 {
		t.Fatalf("README.md has %d blocks of YAML, want the quick start alone", len(blocks))
	}
	if file := read(t, "../examples/quickstart/quickstart.yaml"); strings.TrimSpace(blocks[0]) != strings.TrimSpace(file) {
		t.Errorf("README.md does not show examples/quickstart/quickstart.yaml as it is:\n%s", blocks[0])
	}
}

// anchors returns the anchors of a page's headings, as GitHub makes them.
func anchors(page string) map[string]bool {
	drop := regexp.MustCompile(`[^a-z0-9 _-]`)
	all := map[string]bool{}
	for _, heading := range regexp.MustCompile(`(?m)^#+ (.+)$`).FindAllStringSubmatch(page, -1) {
		all[strings.ReplaceAll(drop.ReplaceAllString(strings.ToLower(heading[1]), ""), " ", "-")] = true
	}
	return all
}

func TestLinksLeadSomewhere(t *testing.T) {
	links := regexp.MustCompile(`\]\(([^)\s]+)\)`)
	seen := 0
	for _, page := range pages(t) {
		for _, match := range links.FindAllStringSubmatch(read(t, page), -1) {
			if strings.Contains(match[1], "://") {
				continue
			}
			seen++
			file, anchor, _ := strings.Cut(match[1], "#")
			target := page
			if file != "" {
				target = filepath.Join(filepath.Dir(page), file)
			}
			if _, err := os.Stat(target); err != nil {
				t.Errorf("%s links to %s, which does not exist", page, match[1])
				continue
			}
			if anchor != "" && !anchors(read(t, target))[anchor] {
				t.Errorf("%s links to %s, which has no such heading", page, match[1])
			}
		}
	}
	if seen == 0 {
		t.Error("no links were found")
	}
}
