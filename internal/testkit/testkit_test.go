package testkit_test

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/millrace/millrace/internal/testkit"
)

// recorder is a test that fails without failing this one.
type recorder struct {
	testing.TB
	text    strings.Builder
	skipped bool
}

func (r *recorder) Helper()                    {}
func (r *recorder) Logf(f string, args ...any) { fmt.Fprintf(&r.text, f+"\n", args...) }
func (r *recorder) Errorf(f string, args ...any) {
	r.Logf(f, args...)
}
func (r *recorder) Fatalf(f string, args ...any) { r.Logf(f, args...); panic(r) }
func (r *recorder) Fatal(args ...any)            { r.Fatalf("%s", fmt.Sprint(args...)) }
func (r *recorder) Skip(args ...any)             { r.skipped = true; r.Fatal(args...) }

// record runs a test until it ends or fails.
func record(test func(t testing.TB)) (r *recorder) {
	r = &recorder{}
	defer func() {
		if got := recover(); got != nil && got != any(r) {
			panic(got)
		}
	}()
	test(r)
	return r
}

func TestPatienceIsLongAndCanBeLonger(t *testing.T) {
	t.Setenv(testkit.PatienceVariable, "")
	if got := testkit.Patience(); got < time.Minute {
		t.Errorf("%s", got)
	}
	t.Setenv(testkit.PatienceVariable, "7m")
	if got := testkit.Patience(); got != 7*time.Minute {
		t.Errorf("%s, want 7m", got)
	}
	for _, wrong := range []string{"nonsense", "1s"} {
		t.Setenv(testkit.PatienceVariable, wrong)
		func() {
			defer func() {
				if text := fmt.Sprint(recover()); !strings.Contains(text, testkit.PatienceVariable) {
					t.Errorf("%q gives %s", wrong, text)
				}
			}()
			testkit.Patience()
		}()
	}
}

func TestWaitsForConditions(t *testing.T) {
	n := 0
	testkit.Eventually(t, "the third look", func() bool { n++; return n == 3 })
	testkit.Succeeds(t, func() error {
		if n++; n < 6 {
			return errors.New("not yet")
		}
		return nil
	})
	c := make(chan int, 1)
	c <- 7
	if got := testkit.Receive(t, "a number", c); got != 7 || n != 6 {
		t.Errorf("got %d after %d looks", got, n)
	}
	if r := record(func(t testing.TB) {
		testkit.SucceedsWithin(t, 0, func() error { return errors.New("the moon is missing") })
	}); !strings.Contains(r.text.String(), "the moon is missing") {
		t.Errorf("the failure says %q", r.text.String())
	}
}

func TestGoldenTellsTheDifference(t *testing.T) {
	update := flag.Lookup("update")
	if err := update.Value.Set("false"); err != nil { // whatever this run was started with
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "golden")
	if r := record(func(t testing.TB) { testkit.Golden(t, file, nil) }); !strings.Contains(r.text.String(), "-update") {
		t.Errorf("a file that is not there: %q", r.text.String())
	}
	if err := os.WriteFile(file, []byte("one\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	testkit.Golden(t, file, []byte("one\n"))
	if r := record(func(t testing.TB) { testkit.Golden(t, file, []byte("two\n")) }); !strings.Contains(
		r.text.String(),
		"two",
	) {
		t.Errorf("another text: %q", r.text.String())
	}
}

func TestNothingIsSkippedInCI(t *testing.T) {
	t.Setenv("PATH", t.TempDir())
	for ci, skips := range map[string]bool{"": true, "true": false} {
		t.Setenv("CI", ci)
		r := record(func(t testing.TB) { testkit.NeedFFmpeg(t) })
		if r.skipped != skips || !strings.Contains(r.text.String(), "apt-get install") {
			t.Errorf("CI=%q: skipped %v, %q", ci, r.skipped, r.text.String())
		}
	}
}
