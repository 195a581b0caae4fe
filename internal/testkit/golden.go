package testkit

import (
	"flag"
	"os"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// updateFlag is the flag of test binaries that rewrites golden files: go test ./controllers/render -update.
const updateFlag = "update"

func init() { flag.Bool(updateFlag, false, "rewrite golden files") }

// Updating reports whether golden files are to be rewritten. Tests that keep what they expect in some other form than
// Golden's ask it.
func Updating() bool { return flag.Lookup(updateFlag).Value.String() == "true" }

// Golden compares text with a file below the package's folder. With -update it writes the file instead.
func Golden(t testing.TB, file string, got []byte) {
	t.Helper()
	if Updating() {
		if err := os.WriteFile(file, got, 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatalf("%v: run the test with -update and look at what it wrote", err)
	}
	if diff := cmp.Diff(string(want), string(got)); diff != "" {
		t.Errorf("%s differs (-want +got); run the test with -update if that is meant:\n%s", file, diff)
	}
}
