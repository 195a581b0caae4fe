package docs

import (
	"path/filepath"
	"strings"
	"testing"
)

// The overview is read in one go, a decision fits a page, a how-to fits a screen; an index names all of them.
func TestPagesKeepTheirSize(t *testing.T) {
	size := func(page string, most int) {
		if n := strings.Count(read(t, page), "\n"); n > most {
			t.Errorf("%s has %d lines, want at most %d", page, n, most)
		}
	}
	size("overview.md", 120)
	for folder, most := range map[string]int{"decisions": 60, "howto": 60} {
		index := read(t, folder+"/README.md")
		found, err := filepath.Glob(folder + "/*.md")
		if err != nil || len(found) == 0 {
			t.Fatalf("reading %s: %d pages, %v", folder, len(found), err)
		}
		for _, page := range found {
			size(page, most)
			if name := filepath.Base(page); name != "README.md" && !strings.Contains(index, "]("+name+")") {
				t.Errorf("%s/README.md does not name %s", folder, name)
			}
		}
	}
	for _, page := range pages(t) {
		if !strings.Contains(page, "/") && !strings.Contains(read(t, "../README.md")+read(t, "overview.md"), page) {
			t.Errorf("neither README.md nor overview.md names %s", page)
		}
	}
}
