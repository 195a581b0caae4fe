package docs

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"testing"
)

// PROJECT lists the kinds of the API, each once.
func TestProjectListsEveryKind(t *testing.T) {
	files, err := filepath.Glob("../config/crd/bases/*.yaml")
	if err != nil || len(files) == 0 {
		t.Fatalf("no CRDs were found (%v)", err)
	}
	names := regexp.MustCompile(`(?m)^    kind: (\w+)$`)
	var want, got []string
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		want = append(want, names.FindStringSubmatch(string(text))[1])
	}
	for _, one := range regexp.MustCompile(`(?m)^  kind: (\w+)$`).FindAllStringSubmatch(read(t, "../PROJECT"), -1) {
		got = append(got, one[1])
	}
	slices.Sort(want)
	slices.Sort(got)
	if !slices.Equal(got, want) {
		t.Errorf("PROJECT has the kinds %v, the API has %v", got, want)
	}
}
