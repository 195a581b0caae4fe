package docs

import (
	"go/ast"
	"regexp"
	"strings"
	"testing"

	"github.com/millrace/millrace/internal/contract/check"
)

// section returns a page from a heading to the next one of the same level.
func section(t *testing.T, page, heading string) string {
	t.Helper()
	_, rest, found := strings.Cut(read(t, page), "\n## "+heading+"\n")
	if !found {
		t.Fatalf("%s has no heading %q", page, heading)
	}
	body, _, _ := strings.Cut(rest, "\n## ")
	return body
}

// conditionReasons returns the values of the constants of type Reason in the API, by their names.
func conditionReasons(t *testing.T) map[string]string {
	t.Helper()
	all := map[string]string{}
	for name, file := range goFiles(t) {
		if !strings.HasPrefix(name, "../api/v1alpha1/") {
			continue
		}
		ast.Inspect(file, func(n ast.Node) bool {
			if spec, is := n.(*ast.ValueSpec); is && strings.HasPrefix(spec.Names[0].Name, "Reason") && len(spec.Values) == 1 {
				if value, isText := text(spec.Values[0]); isText {
					all[spec.Names[0].Name] = value
				}
			}
			return true
		})
	}
	if len(all) < 30 {
		t.Fatalf("only %d reasons were found", len(all))
	}
	return all
}

// Every reason of a condition stands in a table, with a remedy or with what it means; and the tables name no other.
func TestEveryReasonOfConditionsIsExplained(t *testing.T) {
	tables := section(t, "operations.md", "Conditions in a cluster") + section(t, "pods.md", "LiveStream objects")
	known := map[string]bool{}
	for name, value := range conditionReasons(t) {
		known[value] = true
		if len(rows(tables, "`"+value+"`")) == 0 {
			t.Errorf("neither operations.md nor pods.md has a row for %s (%s)", value, name)
		}
	}
	for _, row := range check.Table() {
		known[string(row.Reason)] = true
	}
	for _, row := range rows(tables, "`") {
		cells := strings.Split(row, "|")
		for _, cell := range cells[1 : len(cells)-2] { // the last one is the remedy
			for _, reason := range regexp.MustCompile("`([A-Z][A-Za-z0-9]+)`").FindAllStringSubmatch(cell, -1) {
				if !known[reason[1]] && reason[1] != "SourceCompliant" && reason[1] != "Live" {
					t.Errorf("the reason %s exists in no condition: %s", reason[1], row)
				}
			}
		}
	}
}

// What pages name exists in the program: reasons of refusals and of ended sessions, metrics.
func TestNamesOfThePagesExist(t *testing.T) {
	known := "\n" + literals(t)
	t.Run("refusals", func(t *testing.T) { testRefusals(t, known) })
	t.Run("ends of sessions", func(t *testing.T) { testEnds(t, known) })
	t.Run("metrics", func(t *testing.T) { testMetrics(t, known) })
}

// A reason that a table of refusals names exists in the program.
func testRefusals(t *testing.T, known string) {
	for _, one := range []struct {
		page, heading string
		column        int
		atLeast       int
	}{
		{"playing.md", "What a refusal says", 2, 40},
		{"publishing.md", "What a refusal says", 1, 20},
	} {
		seen := 0
		for _, row := range rows(section(t, one.page, one.heading), "`") {
			cell := strings.Split(row, "|")[one.column]
			for _, reason := range regexp.MustCompile("`([^`]+)`").FindAllStringSubmatch(cell, -1) {
				seen++
				if !strings.Contains(known, "\n"+reason[1]+"\n") {
					t.Errorf("%s explains the reason %s, which does not exist", one.page, reason[1])
				}
			}
		}
		if seen < one.atLeast {
			t.Errorf("%s: only %d reasons were found", one.page, seen)
		}
	}
}

// The reasons that operations.md lists for ended sessions exist in the program.
func testEnds(t *testing.T, known string) {
	for _, paragraph := range strings.Split(section(t, "operations.md", "Metrics"), "\n\n") {
		if !strings.HasPrefix(strings.TrimSpace(paragraph), "Reasons of ") {
			continue
		}
		for _, reason := range regexp.MustCompile("`([^`]+)`").FindAllStringSubmatch(paragraph, -1) {
			if !strings.HasPrefix(reason[1], "millrace_") && !strings.Contains(known, "\n"+reason[1]+"\n") {
				t.Errorf("operations.md names the reason %q, which does not exist", reason[1])
			}
		}
	}
}

// Whatever page names a metric names one that exists, shortened names (as in rules for alerts) too.
func testMetrics(t *testing.T, known string) {
	for _, page := range pages(t) {
		if strings.Contains(page, "CHANGELOG") {
			continue
		}
		for _, name := range regexp.MustCompile(`\bmillrace_([a-z_]+[a-z])\b`).FindAllStringSubmatch(read(t, page), -1) {
			// Registered whole, or as namespace, subsystem and name.
			parts := strings.SplitN(name[1], "_", 2)
			if strings.Contains(known, "\n"+name[0]+"\n") || strings.Contains(known, "\n"+parts[len(parts)-1]+"\n") {
				continue
			}
			t.Errorf("%s names the metric %s, which does not exist", page, name[0])
		}
	}
}
