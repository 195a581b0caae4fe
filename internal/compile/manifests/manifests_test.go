package manifests

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/millrace/millrace/internal/compile"
)

func newLoader(t testing.TB) *Loader {
	t.Helper()
	l, err := NewLoader()
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func lines(findings []Finding) string {
	var out []string
	for _, f := range findings {
		out = append(out, f.String())
	}
	return strings.Join(out, "\n")
}

const (
	pushDoc = "apiVersion: live.millrace.dev/v1alpha1\nkind: PushDomain\nmetadata:\n  name: push\nspec:\n  hostname: " +
		"push.example.com\n"
	playDoc = "apiVersion: live.millrace.dev/v1alpha1\nkind: PlayDomain\nmetadata:\n  name: play\nspec:\n  hostname: " +
		"play.example.com\n  type: RTS\n"
)

// TestLinesOfFindings has files in all their forms, and the line of what is wrong in them.
func TestLinesOfFindings(t *testing.T) {
	l := newLoader(t)
	for _, tc := range []struct{ name, text, want string }{
		{"good", pushDoc + "---\n" + playDoc, ""},
		{"empty", "", ""},
		{"comments only", "# nothing\n---\n# here\n---\n", ""},
		{"null document", "null\n---\n" + pushDoc, ""},
		{"windows line ends", strings.ReplaceAll(pushDoc+"---\n"+playDoc, "\n", "\r\n"), ""},
		{"byte order mark", "\xef\xbb\xbf" + pushDoc, ""},
		{"second document", pushDoc + "---\n" + playDoc + "  state: Up\n",
			`f.yaml:15: PlayDomain/play: spec.state: "Up" is not supported: supported values: "Online", "Offline"`},
		{"after comments and an empty document", "# a\n\n---\n---\n# b\n" + playDoc + "  stat: Online\n",
			"f.yaml:13: PlayDomain/play: spec.stat: unknown field, did you mean state?"},
		{"document on the line of its marker", "--- # first\n" + pushDoc + "--- {apiVersion: live.millrace.dev/v1alpha1, " +
			"kind: PushDomain, metadata: {name: b}, spec: {}}\n",
			"f.yaml:8: PushDomain/b: spec.hostname: is required"},
		{"end marker", pushDoc + "...\n" + playDoc + "  state: 7\n",
			"f.yaml:15: PlayDomain/play: spec.state: must be of type string, not integer"},
		{"item of a sequence", playDoc + "  access:\n    ips:\n    - 10.0.0.0/8\n    - nonsense\n",
			`f.yaml:11: PlayDomain/play: spec.access.ips[1]: "nonsense": must be an IP address or a CIDR range, such as 192.0.2.7 or 2001:db8::/32`},
		{"flow style", playDoc + "  access: {ips: [10.0.0.0/8,\n    nonsense]}\n",
			`f.yaml:9: PlayDomain/play: spec.access.ips[1]: "nonsense": must be an IP address or a CIDR range, such as 192.0.2.7 or 2001:db8::/32`},
		{"anchor and alias", "apiVersion: live.millrace.dev/v1alpha1\nkind: PlayDomain\nmetadata:\n  name: play\nspec:\n  " +
			"hostname: &h Bad\n  type: RTS\n  className: *h\n",
			`f.yaml:6: PlayDomain/play: spec.hostname: "Bad": must be a lower-case DNS name without port or path, such as live.example.com`},
		{"json", `{"apiVersion":"live.millrace.dev/v1alpha1",` + "\n" + `"kind":"PushDomain","metadata":{"name":"p"},` +
			"\n" + `"spec":{"hostname":"p.example.com",` + "\n" + `"state":"Up"}}`,
			`f.yaml:4: PushDomain/p: spec.state: "Up" is not supported: supported values: "Online", "Offline"`},
		{"list", "apiVersion: v1\nkind: List\nitems:\n- " + strings.ReplaceAll(strings.TrimSpace(pushDoc), "\n", "\n  ") +
			"\n- " +
			strings.ReplaceAll(strings.TrimSpace(playDoc), "\n", "\n  ") + "\n    state: Up\n",
			`f.yaml:17: PlayDomain/play: spec.state: "Up" is not supported: supported values: "Online", "Offline"`},
		{"typed list", "apiVersion: live.millrace.dev/v1alpha1\nkind: PushDomainList\nitems:\n- " +
			strings.ReplaceAll(strings.TrimSpace(pushDoc), "\n", "\n  ") + "\n", ""},
		{"list without items", "apiVersion: v1\nkind: List\n", "f.yaml:1: is a list without items"},
		{"list of scalars", "apiVersion: v1\nkind: List\nitems: [1]\n", "f.yaml:1: has an item 0 that is not an object"},
		{"scalar", "hello\n", "f.yaml:1: is not an object: it needs apiVersion, kind and metadata"},
		{"sequence", pushDoc + "---\n- a\n", "f.yaml:8: is not an object: it needs apiVersion, kind and metadata"},
		{"no kind", pushDoc + "---\nspec: {}\n", "f.yaml:8: is not an object: it needs apiVersion, kind and metadata"},
		{"tab", pushDoc + "---\nspec:\n\tx: y\n", "f.yaml:9: is not YAML: found character that cannot start any token"},
		{"flow not closed", pushDoc + "---\n" + playDoc + "  access: {ips: [10.0.0.0/8}\n", "f.yaml:15: is not YAML: did " +
			"not find expected ',' or ']'"},
		{"indentation", pushDoc + "---\n" + playDoc + " type: RTS\n", "f.yaml:15: is not YAML: did not find expected key"},
		{"key twice", pushDoc + "---\n" + playDoc + "  type: Standard\n",
			`f.yaml:15: is not YAML: key "type" already set in map`},
		{"no metadata", "apiVersion: live.millrace.dev/v1alpha1\nkind: PushDomain\nspec:\n  hostname: a.example.com\n",
			"f.yaml:1: PushDomain: metadata: is required: it needs a name"},
		{"no name", strings.Replace(pushDoc, "  name: push\n", "  labels: {a: b}\n", 1), "f.yaml:3: PushDomain: " +
			"metadata.name: name or generateName is required"},
		{"unknown metadata", strings.Replace(pushDoc, "  name: push\n", "  name: push\n  lables: {}\n", 1),
			`f.yaml:3: PushDomain/push: metadata: unknown field "lables"`},
		{"metadata of another type", strings.Replace(pushDoc, "  name: push\n", "  name: push\n  labels: [a]\n", 1),
			"f.yaml:3: PushDomain/push: metadata: cannot restore map from slice"},
		{"yes is true, as kubectl reads it", strings.Replace(pushDoc, "push.example.com", "yes", 1),
			"f.yaml:6: PushDomain/push: spec.hostname: must be of type string, not boolean"},
		{"other version", strings.Replace(pushDoc, "v1alpha1", "v1", 1),
			`f.yaml:1: PushDomain/push: apiVersion: "live.millrace.dev/v1" is not served: use live.millrace.dev/v1alpha1`},
		{"other kind of ours", strings.Replace(pushDoc, "PushDomain", "Stream", 1),
			"f.yaml:2: Stream/push: kind: unknown kind, there are DomainAssociation, DomainClaim, MediaClass, PlayDomain, " +
				"PushDomain, RTSTranscodeTemplate"},
		{"other kind", "apiVersion: apps/v1\nkind: Deployment\nmetadata:\n  name: d\n", "f.yaml:2: Deployment/d: warning: " +
			"is not a Millrace object: it is not looked at"},
		{"cluster kind in a namespace", "apiVersion: live.millrace.dev/v1alpha1\nkind: DomainClaim\nmetadata:\n  name: " +
			"a.example.com\n  namespace: x\nspec:\n  namespace: x\n",
			"f.yaml:5: DomainClaim/a.example.com: metadata.namespace: not allowed on this type"},
		{"secret", "apiVersion: v1\nkind: Secret\nmetadata: {name: s}\ndata:\n  primary: c2VjcmV0\nstringData: {backup: " +
			"x}\ntype: Opaque\n", ""},
		{"secret not base64", "apiVersion: v1\nkind: Secret\nmetadata: {name: s}\ndata:\n  primary: '%%topsecret'\n",
			"f.yaml:2: Secret/s: illegal base64 data at input byte 0"},
		{"secret unknown field", "apiVersion: v1\nkind: Secret\nmetadata: {name: s}\nstringdata:\n  primary: topsecret\n",
			`f.yaml:2: Secret/s: unknown field "stringdata"`},
		{"namespace", "apiVersion: v1\nkind: Namespace\nmetadata: {name: n1, labels: {a: b}}\n", ""},
		{"ignored field of a sub", playDoc + "  billingMode: Traffic\n---\n" + strings.ReplaceAll(playDoc, "play", "main") +
			"---\napiVersion: live.millrace.dev/v1alpha1\nkind: DomainAssociation\nmetadata: {name: a}\nspec: {type: " +
			"MainToSub, subPlayDomainRef: {name: play}, mainPlayDomainRef: {name: main}}\n",
			"f.yaml:8: PlayDomain/play: spec.billingMode: warning: is void on a sub, which inherits it from its main: remove " +
				"it, or set it on the main"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			set, findings := l.Parse("f.yaml", []byte(tc.text))
			_, more := set.Compile()
			findings = append(findings, more...)
			sortFindings(findings)
			if diff := cmp.Diff(tc.want, lines(findings)); diff != "" {
				t.Errorf("(-want +got)\n%s", diff)
			}
		})
	}
}

// TestOneMistakeOneFinding wants no findings that only follow from another one.
func TestOneMistakeOneFinding(t *testing.T) {
	l := newLoader(t)
	association := "---\napiVersion: live.millrace.dev/v1alpha1\nkind: DomainAssociation\nmetadata: {name: a}\nspec: " +
		"{type: PushToPlay, pushDomainRef: {name: push}, mainPlayDomainRef: {name: play}}\n"
	template := "---\napiVersion: live.millrace.dev/v1alpha1\nkind: RTSTranscodeTemplate\nmetadata: {name: t}\nspec: " +
		"{templateID: repair, type: H264Origin, video: {}, playDomainRef: {name: play}}\n"
	class := "---\napiVersion: live.millrace.dev/v1alpha1\nkind: MediaClass\nmetadata: {name: default}\nspec: {rts: " +
		"{namespaceSelector: {}}, regoin: x}\n"
	for _, text := range []string{
		strings.Replace(pushDoc, "push.example.com", "BAD", 1) + "---\n" + playDoc + association + template,
		pushDoc + "---\n" + strings.Replace(playDoc, "RTS", "RTM", 1) + association + template,
		pushDoc + "---\n" + playDoc + association + template + class,
		pushDoc + "---\n" + strings.Replace(playDoc, "play.example", "push.example", 1) + association + template,
	} {
		set, findings := l.Parse("f.yaml", []byte(text))
		_, more := set.Compile()
		if findings = append(findings, more...); len(findings) != 1 {
			t.Errorf("got %d findings, want 1:\n%s\nin\n%s", len(findings), lines(findings), text)
		}
	}
}

func TestLoadReadsFoldersAndFiles(t *testing.T) {
	dir := t.TempDir()
	write := func(name, text string) string {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	write("b.yml", playDoc)
	write("a.yaml", pushDoc)
	write("notes.txt", "not YAML: [")
	write(".hidden.yaml", "not YAML: [")
	write("deeper/c.yaml", "not YAML: [")
	set, findings := Load([]string{dir})
	if len(findings) != 0 || len(set.Input.PushDomains) != 1 || len(set.Input.PlayDomains) != 1 {
		t.Errorf(
			"got %d push domains, %d play domains and %v",
			len(set.Input.PushDomains),
			len(set.Input.PlayDomains),
			findings,
		)
	}
	if want := []string{filepath.Join(dir, "a.yaml"), filepath.Join(dir, "b.yml")}; !slices.Equal(set.Files, want) {
		t.Errorf("read %q, want %q", set.Files, want)
	}
	if out, _, _ := CompileDir([]string{filepath.Join(dir, "b.yml"), filepath.Join(dir, "a.yaml")}); len(out.Plans) != 1 ||
		out.Plans[0].Class != "default" {
		t.Errorf("got plans %v", out.Plans)
	}

	large := write("large/x.yaml", "#"+strings.Repeat("x", MaxFileBytes))
	for _, tc := range []struct{ path, want string }{
		{large, large + ": cannot be read: it is larger than 1048576 bytes"},
		{filepath.Join(dir, "gone"), filepath.Join(dir, "gone") + ": cannot be read: no such file or directory"},
		{filepath.Join(dir, "notes.txt"), filepath.Join(dir, "notes.txt") + ":1: is not YAML"},
	} {
		if _, findings := Load([]string{tc.path}); !strings.HasPrefix(lines(findings), tc.want) || !Broken(findings) {
			t.Errorf("got %q, want %q", lines(findings), tc.want)
		}
	}
}

func TestObjectsAreBounded(t *testing.T) {
	var text strings.Builder
	for i := range MaxObjects + 10 {
		fmt.Fprintf(&text, "---\napiVersion: v1\nkind: Namespace\nmetadata: {name: n%d}\n", i)
	}
	set, findings := newLoader(t).Parse("f.yaml", []byte(text.String()))
	if len(set.Objects) != MaxObjects || len(findings) != 10 || !Broken(findings) {
		t.Errorf("got %d objects and %d findings", len(set.Objects), len(findings))
	}
}

// TestAgeDecides: in a dump of a cluster the older object wins; what was never created is younger than all that was.
func TestAgeDecides(t *testing.T) {
	old := strings.Replace(playDoc, "name: play\n", "name: old\n  creationTimestamp: '2026-01-01T00:00:00Z'\n", 1)
	older := strings.Replace(playDoc, "name: play\n", "name: older\n  creationTimestamp: '2025-01-01T00:00:00Z'\n", 1)
	for _, tc := range []struct{ text, winner string }{
		{old + "---\n" + older, "older"},
		{playDoc + "---\n" + old, "old"},
		{playDoc + "---\n" + strings.Replace(playDoc, "name: play\n", "name: another\n", 1), "play"},
	} {
		set, findings := newLoader(t).Parse("f.yaml", []byte(tc.text))
		out, _ := set.Compile()
		var accepted []string
		for _, v := range out.Verdicts {
			if v.Kind == "PlayDomain" && v.Accepted {
				accepted = append(accepted, v.Name)
			}
		}
		if !slices.Equal(accepted, []string{tc.winner}) {
			t.Errorf("accepted %v, want %s (%v)", accepted, tc.winner, findings)
		}
	}
}

// FuzzParse feeds text to the loader and compiles what it makes of it.
func FuzzParse(f *testing.F) {
	l := newLoader(f)
	for _, pattern := range []string{"../testdata/*.in.yaml", "../../../examples/*/*.yaml"} {
		files, err := filepath.Glob(pattern)
		if err != nil || len(files) == 0 {
			f.Fatalf("no seeds in %s: %v", pattern, err)
		}
		for _, file := range files {
			text, err := os.ReadFile(file)
			if err != nil {
				f.Fatal(err)
			}
			f.Add(text)
		}
	}
	f.Add([]byte("a: &a [*a]\n"))
	f.Add([]byte("<<: {apiVersion: v1, kind: List}\nitems: [{<<: {kind: Secret}}]\n"))
	f.Fuzz(func(t *testing.T, text []byte) {
		set, findings := l.Parse("f.yaml", text)
		all := strings.Count(string(text), "\n") + 1
		out, more := set.Compile()
		for _, finding := range append(findings, more...) {
			if finding.Message == "" || finding.Line < 0 || finding.Line > all {
				t.Errorf("a finding without message, or at a line that is not there: %+v", finding)
			}
		}
		known := map[compile.Object]bool{}
		for _, o := range set.Objects {
			known[o.Object] = true
		}
		for _, v := range out.Verdicts {
			o := compile.Object{Kind: v.Kind, Namespace: v.Namespace, Name: v.Name}
			if !known[o] && o != (compile.Object{Kind: "MediaClass", Name: "default"}) {
				t.Errorf("a verdict about an object that is not there: %+v", o)
			}
		}
	})
}
