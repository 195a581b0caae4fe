package docs

import (
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/spf13/pflag"

	"github.com/millrace/millrace/controllers/operator"
)

func TestEveryFlagOfTheOperatorIsExplained(t *testing.T) {
	page := read(t, "install.md")
	flags := operator.NewCommand().Flags()
	flags.VisitAll(func(f *pflag.Flag) {
		found := rows(page, "| `--"+f.Name+"` |")
		if len(found) != 1 {
			t.Errorf("install.md has %d rows for flag --%s, want 1", len(found), f.Name)
			return
		}
		if f.DefValue != "" && f.Name != "media-image" && !strings.Contains(found[0], "| "+f.DefValue+" |") {
			t.Errorf("install.md does not give the default %s of --%s: %s", f.DefValue, f.Name, found[0])
		}
	})
	for _, row := range regexp.MustCompile("(?m)^\\| `--([a-z-]+)` \\|").FindAllStringSubmatch(page, -1) {
		if flags.Lookup(row[1]) == nil {
			t.Errorf("install.md explains --%s, which does not exist", row[1])
		}
	}
}

// Whoever copies a command from the page finds the files that it names.
func TestTheFilesOfTheInstallationExist(t *testing.T) {
	page := read(t, "install.md")
	seen := 0
	for _, path := range regexp.MustCompile(
		`(?:-[kf] |install millrace |upgrade millrace )((?:config|charts|examples)/[a-z/-]+)`).FindAllStringSubmatch(page,
		-1) {
		seen++
		if _, err := os.Stat("../" + path[1]); err != nil {
			t.Errorf("install.md names %s: %v", path[1], err)
		}
	}
	if seen < 8 {
		t.Errorf("only %d commands with files were found", seen)
	}
}
