package operator_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"testing"

	"github.com/millrace/millrace/api/v1alpha1"
	"github.com/millrace/millrace/internal/compile/manifests"
	"github.com/millrace/millrace/internal/testkit"
)

// The commands that docs/install.md prints for the examples are run as they stand there; the webhook lets everything
// pass and the operator accepts it. The last one changes the class of all, so it comes last there too.
func TestTheExamplesWorkAsTheyArePrinted(t *testing.T) {
	c := installed(t)
	run(t, c)
	waitEnforced(t, c)
	wantDefaultClass(t, c)
	text, err := os.ReadFile(filepath.Join(root, "docs/install.md"))
	if err != nil {
		t.Fatal(err)
	}
	commands := regexp.MustCompile("`kubectl apply -f (examples/[a-z-]+)`").FindAllSubmatch(text, -1)
	if len(commands) != 3 {
		t.Fatalf("docs/install.md prints %d examples, want 3", len(commands))
	}
	kubeconfig := c.Kubeconfig(t)
	for _, command := range commands {
		folder := string(command[1])
		t.Run(folder, func(t *testing.T) {
			kubectl := exec.CommandContext(t.Context(), filepath.Join(c.Assets, "kubectl"), "apply", "-f", folder)
			kubectl.Dir = root
			kubectl.Env = append(os.Environ(), "KUBECONFIG="+kubeconfig)
			if out, err := kubectl.CombinedOutput(); err != nil {
				t.Fatalf("kubectl apply -f %s: %v\n%s", folder, err, out)
			}
			set, findings := manifests.Load([]string{filepath.Join(root, folder)})
			if manifests.Errors(findings) > 0 {
				t.Fatal(findings)
			}
			in := set.Input
			objects := append(pointers[v1alpha1.MediaClass](in.Classes), pointers[v1alpha1.PushDomain](in.PushDomains)...)
			objects = append(objects, pointers[v1alpha1.PlayDomain](in.PlayDomains)...)
			objects = append(objects, pointers[v1alpha1.DomainAssociation](in.Associations)...)
			objects = append(objects, pointers[v1alpha1.RTSTranscodeTemplate](in.Templates)...)
			if len(objects) < 3 {
				t.Fatalf("there are %d objects", len(objects))
			}
			for _, o := range objects {
				wantCondition(t, c, o, "", world{})
			}
		})
	}
}

// Applying the manifests again, while the operator runs, changes nothing at all.
func TestApplyingAgainChangesNoResourceVersion(t *testing.T) {
	c := installed(t)
	run(t, c)
	waitEnforced(t, c)
	all := func() string {
		out, err := c.Kubectl(t, "get", "-k", filepath.Join(root, "config/default"),
			"-o", `jsonpath={range .items[*]}{.kind} {.metadata.name} {.metadata.resourceVersion}{"\n"}{end}`)
		if err != nil {
			t.Fatalf("kubectl get -k: %v\n%s", err, out)
		}
		return out
	}
	var before string
	testkit.Succeeds(t, func() error { // defaults and status of the CRDs come a moment after their creation
		before = all()
		if before != all() {
			return errNotYet
		}
		return nil
	})
	installed(t)
	if after := all(); after != before {
		t.Errorf("before:\n%s\nafter:\n%s", before, after)
	}
}
