package cli

import (
	"bytes"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/millrace/millrace/internal/testkit"
)

const examples = "../../examples"

func validate(t *testing.T, args ...string) (stdout, stderr string, err error) {
	t.Helper()
	var out, errOut bytes.Buffer
	cmd := NewValidateCommand()
	cmd.SilenceUsage, cmd.SilenceErrors = true, true
	cmd.SetOut(&out)
	cmd.SetErr(&errOut)
	cmd.SetArgs(args)
	err = cmd.ExecuteContext(t.Context())
	return out.String(), errOut.String(), err
}

// TestBrokenExamples wants of each file in examples/broken just the finding that its first line says.
func TestBrokenExamples(t *testing.T) {
	files, err := filepath.Glob(filepath.Join(examples, "broken", "*.yaml"))
	if err != nil || len(files) < 15 {
		t.Fatalf("there are %d broken examples (%v), want 15 or more", len(files), err)
	}
	for _, file := range files {
		t.Run(filepath.Base(file), func(t *testing.T) {
			text, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			got, _, err := validate(t, "-f", file)
			if !errors.Is(err, ErrReported) {
				t.Errorf("ended with %v, want an error that is already reported", err)
			}
			got = strings.ReplaceAll(got, filepath.Dir(file)+string(filepath.Separator), "")
			first, rest, _ := strings.Cut(string(text), "\n")
			if testkit.Updating() {
				if err := os.WriteFile(file, []byte("# want: "+got+rest), 0o644); err != nil {
					t.Fatal(err)
				}
				return
			}
			if want := strings.TrimPrefix(first, "# want: ") + "\n"; got != want {
				t.Errorf("got\n%swant\n%s", got, want)
			}
		})
	}
}

// TestGoodExamples wants every other example to be without any finding.
func TestGoodExamples(t *testing.T) {
	for _, name := range []string{"quickstart", "existing-service", "multi-tenant"} {
		t.Run(name, func(t *testing.T) {
			stdout, stderr, err := validate(t, "-f", filepath.Join(examples, name))
			if err != nil || stdout != "" {
				t.Errorf("got %v and\n%s", err, stdout)
			}
			if !strings.Contains(stderr, "0 errors, 0 warnings") {
				t.Errorf("the summary is %q", stderr)
			}
		})
	}
}

func TestValidateAsJSON(t *testing.T) {
	stdout, stderr, err := validate(t, "-o", "json", "-f", filepath.Join(examples, "broken", "hostname-missing.yaml"))
	if !errors.Is(err, ErrReported) {
		t.Fatalf("got %v", err)
	}
	var findings []map[string]any
	if err := json.Unmarshal([]byte(stdout), &findings); err != nil {
		t.Fatalf("not JSON: %v\n%s", err, stdout)
	}
	if len(findings) != 1 || findings[0]["kind"] != "PushDomain" || findings[0]["field"] != "spec.hostname" ||
		findings[0]["severity"] != "Error" ||
		findings[0]["line"] == 0.0 {
		t.Errorf("got %v", findings)
	}
	if want := "1 file, 1 object, 1 error, 0 warnings\n"; stderr != want {
		t.Errorf("the summary is %q, want %q", stderr, want)
	}
	stdout, _, err = validate(t, "-o", "json", "-f", filepath.Join(examples, "quickstart"))
	if err != nil || strings.TrimSpace(stdout) != "[]" {
		t.Errorf("no findings: got %v and %q, want an empty list", err, stdout)
	}
}

func TestWarningsDoNotFail(t *testing.T) {
	file := filepath.Join(t.TempDir(), "m.yaml")
	text := "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: x\n---\napiVersion: live.millrace.dev/v1alpha1\nkind: " +
		"PushDomain\nmetadata:\n  name: push\n" +
		"spec:\n  hostname: push.example.com\n  auth:\n    type: A\n    secretRef:\n      name: keys\n"
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	stdout, stderr, err := validate(t, "-f", file)
	want := file + ":2: ConfigMap/x: warning: is not a Millrace object: it is not looked at\n" +
		file + ":15: PushDomain/push: spec.auth.secretRef.name: warning: there is no Secret keys in this namespace: " +
		"create it; no URL is accepted until then\n"
	if err != nil || stdout != want {
		t.Errorf("got %v and\n%swant\n%s", err, stdout, want)
	}
	if want := "1 file, 1 object, 0 errors, 2 warnings\n"; stderr != want {
		t.Errorf("the summary is %q, want %q", stderr, want)
	}
}

// A field that nothing acts on yet is a warning with its line, and no failure.
func TestFieldsThatNothingServesAreWarnings(t *testing.T) {
	file := filepath.Join(t.TempDir(), "m.yaml")
	text := `apiVersion: live.millrace.dev/v1alpha1
kind: PushDomain
metadata:
  name: push
spec:
  hostname: push.example.com
  notify:
    url: https://hooks.example.com/live
---
apiVersion: live.millrace.dev/v1alpha1
kind: MediaClass
metadata:
  name: default
spec:
  pools:
    relay:
      exposure:
        advertise:
        - 203.0.113.7
        - media.example.com
`
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	stdout, stderr, err := validate(t, "-f", file)
	if err != nil {
		t.Errorf("a warning ends with %v", err)
	}
	lines := strings.Split(strings.TrimSpace(stdout), "\n")
	want := []string{
		file + ":7: PushDomain/push: spec.notify: warning: callbacks are not made yet",
		file + ":20: MediaClass/default: spec.pools.relay.exposure.advertise[1]: warning: clients are told IP addresses only",
	}
	if len(lines) != len(want) || !strings.HasPrefix(lines[0], want[0]) || !strings.HasPrefix(lines[1], want[1]) {
		t.Errorf("got\n%s\nwant lines that begin with\n%s", stdout, strings.Join(want, "\n"))
	}
	if want := "1 file, 2 objects, 0 errors, 2 warnings\n"; stderr != want {
		t.Errorf("the summary is %q, want %q", stderr, want)
	}
}

func TestValidateRefusesWhatItCannotRead(t *testing.T) {
	empty := t.TempDir()
	for _, args := range [][]string{{"-f", filepath.Join(empty, "none.yaml")}, {"-f", empty}} {
		if stdout, _, err := validate(t, args...); !errors.Is(err, ErrReported) || strings.Count(stdout, "\n") != 1 {
			t.Errorf("%q: got %v and %q, want one finding", args, err, stdout)
		}
	}
	for _, args := range [][]string{{}, {"-f", empty, "-o", "xml"}, {"-f", empty, "extra"}} {
		if _, _, err := validate(t, args...); err == nil || errors.Is(err, ErrReported) {
			t.Errorf("%q: got %v, want a usage error", args, err)
		}
	}
}
