package docs

import (
	"net/netip"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/spf13/pflag"

	"github.com/millrace/millrace/dataplane/announce"
	"github.com/millrace/millrace/dataplane/directory"
	"github.com/millrace/millrace/dataplane/door"
	"github.com/millrace/millrace/dataplane/edge"
	"github.com/millrace/millrace/dataplane/hub"
	"github.com/millrace/millrace/dataplane/ingest"
	"github.com/millrace/millrace/dataplane/pod/delivery"
	"github.com/millrace/millrace/dataplane/relay"
	"github.com/millrace/millrace/dataplane/relay/signal"
	"github.com/millrace/millrace/dataplane/transcode"
	"github.com/millrace/millrace/internal/cli"
	"github.com/millrace/millrace/internal/contract/check"
	"github.com/millrace/millrace/internal/contract/plan"
)

// rows returns the table rows of a page that have all of some texts.
func rows(page string, texts ...string) []string {
	var found []string
next:
	for line := range strings.Lines(page) {
		if !strings.HasPrefix(line, "|") {
			continue
		}
		for _, text := range texts {
			if !strings.Contains(line, text) {
				continue next
			}
		}
		found = append(found, line)
	}
	return found
}

// names is a Registerer that keeps the names of what is registered, labels or samples or not.
type names map[string]bool

func (n names) Register(c prometheus.Collector) error {
	found := make(chan *prometheus.Desc, 64)
	go func() {
		c.Describe(found)
		close(found)
	}()
	name := regexp.MustCompile(`fqName: "([^"]+)"`)
	for d := range found {
		n[name.FindStringSubmatch(d.String())[1]] = true
	}
	return nil
}

func (n names) MustRegister(all ...prometheus.Collector) {
	for _, c := range all {
		_ = n.Register(c) // never fails
	}
}

func (n names) Unregister(prometheus.Collector) bool { return false }

func TestEveryMetricIsExplained(t *testing.T) {
	registered := names{}
	h, current := hub.New(hub.Options{}), plan.NewCurrent()
	t.Cleanup(h.Close)
	if _, err := ingest.New(ingest.Options{Hub: h, Plan: current, Metrics: registered}); err != nil {
		t.Fatal(err)
	}
	r, err := relay.New(relay.Options{
		Hub: h, Plan: current, Metrics: registered, NoTCP: true,
		Listen: []netip.AddrPort{netip.MustParseAddrPort("127.0.0.1:0")},
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(r.Close)
	trans, err := transcode.New(t.Context(), transcode.Options{Hub: h, Plan: current, Metrics: registered})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(trans.Close)
	e, err := edge.New(edge.Options{Hub: h, Plan: current, Metrics: registered})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(e.Close)
	if len(registered) < 20 {
		t.Fatalf("only %d metrics are registered", len(registered))
	}
	page := read(t, "operations.md")
	for name := range registered {
		if len(rows(page, "| `"+name+"` |")) != 1 {
			t.Errorf("operations.md has not one row for metric %s", name)
		}
	}
	for _, name := range regexp.MustCompile(`millrace_(?:ingest|relay|transcode|edge)_[a-z_]+`).FindAllString(page, -1) {
		if !registered[name] {
			t.Errorf("operations.md names metric %s, which does not exist", name)
		}
	}
}

func TestEveryFlagIsExplained(t *testing.T) {
	page := read(t, "operations.md")
	flags := cli.NewStandaloneCommand().Flags()
	flags.VisitAll(func(f *pflag.Flag) {
		found := rows(page, "`--"+f.Name+"`")
		if len(found) == 0 {
			t.Errorf("operations.md has no row for flag --%s", f.Name)
			return
		}
		if value := f.DefValue; value != "" && value != "[]" && value != "false" &&
			!strings.Contains(found[0], "| "+value+" |") {
			t.Errorf("operations.md does not give the default %s of --%s: %s", value, f.Name, found[0])
		}
	})
	for _, row := range regexp.MustCompile("(?m)^\\| `--([a-z-]+)`").FindAllStringSubmatch(page, -1) {
		if flags.Lookup(row[1]) == nil {
			t.Errorf("operations.md explains --%s, which does not exist", row[1])
		}
	}
}

func TestEveryFlagOfPodsIsExplained(t *testing.T) {
	page := read(t, "pods.md")
	known := map[string]bool{}
	for _, command := range cli.NewPodCommands() {
		command.Flags().VisitAll(func(f *pflag.Flag) {
			known[f.Name] = true
			found := rows(page, "| `--"+f.Name+"`")
			if len(found) == 0 {
				t.Errorf("pods.md has no row for flag --%s of %s", f.Name, command.Name())
				return
			}
			if value := f.DefValue; value != "" && value != "[]" && value != "false" &&
				!strings.Contains(found[0], "| "+value+" |") {
				t.Errorf("pods.md does not give the default %s of --%s: %s", value, f.Name, found[0])
			}
		})
	}
	for _, row := range regexp.MustCompile("(?m)^\\| `--([a-z-]+)`").FindAllStringSubmatch(page, -1) {
		if !known[row[1]] {
			t.Errorf("pods.md explains --%s, which does not exist", row[1])
		}
	}
}

func TestEveryMetricOfPodsIsExplained(t *testing.T) {
	registered := names{}
	h, current := hub.New(hub.Options{}), plan.NewCurrent()
	t.Cleanup(h.Close)
	if _, err := delivery.New(delivery.Options{Current: current, Metrics: registered}); err != nil {
		t.Fatal(err)
	}
	finder, err := directory.NewFinder(directory.FinderOptions{
		Hub: h, Plan: current, Mirror: announce.NewMirror(announce.MirrorOptions{}), Metrics: registered,
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(finder.Close)
	page := read(t, "pods.md")
	for name := range registered {
		if len(rows(page, "| `"+name+"` |")) != 1 {
			t.Errorf("pods.md has not one row for metric %s", name)
		}
	}
	for _, name := range regexp.MustCompile(`millrace_(?:plan|directory)_[a-z_]+`).FindAllString(page, -1) {
		if !registered[name] {
			t.Errorf("pods.md names metric %s, which does not exist", name)
		}
	}
}

// source returns the text of a package's files, tests left out.
func source(t *testing.T, folder string) string {
	t.Helper()
	files, err := filepath.Glob(filepath.Join("..", folder, "*.go"))
	if err != nil || len(files) == 0 {
		t.Fatalf("reading %s: %d files, %v", folder, len(files), err)
	}
	var all strings.Builder
	for _, file := range files {
		if !strings.HasSuffix(file, "_test.go") {
			all.WriteString(read(t, file))
		}
	}
	return all.String()
}

// The table of refusals in playing.md is that of the door, and what operations.md says of a bound is in it.
func TestTheTableOfRefusalsIsThatOfTheDoor(t *testing.T) {
	refusal := regexp.MustCompile("^\\| (\\d{3})[^|]*\\| (`[A-Z]\\w+`(?:, `[A-Z]\\w+`)*) \\|") // status, reasons
	explained := map[string]string{}
	for line := range strings.Lines(read(t, "playing.md")) {
		if row := refusal.FindStringSubmatch(line); row != nil {
			for _, reason := range strings.Split(row[2], ", ") {
				explained[strings.Trim(reason, "`")] = row[1]
			}
		}
	}
	statuses := map[string]string{}
	for _, row := range door.Table() {
		reason, status := string(row.Reason), strconv.Itoa(row.Status)
		if statuses[reason] != "" {
			t.Errorf("the table of refusals has %s twice", reason)
		}
		statuses[reason] = status
		if explained[reason] != status {
			t.Errorf("playing.md gives %s the status %q, and the door %s", reason, explained[reason], status)
		}
	}
	for reason := range explained {
		if statuses[reason] == "" {
			t.Errorf("playing.md explains %s, with which nobody is refused", reason)
		}
	}
	bounds := regexp.MustCompile("\\| (\\d{3}) `(\\w+)` \\|").FindAllStringSubmatch(read(t, "operations.md"), -1)
	if len(bounds) < 4 {
		t.Fatalf("only %d bounds with a refusal were found in operations.md", len(bounds))
	}
	for _, bound := range bounds {
		if statuses[bound[2]] != bound[1] {
			t.Errorf("operations.md gives %s the status %s, and the door %q", bound[2], bound[1], statuses[bound[2]])
		}
	}
}

// Every reason that a Finder gives has a row in the table of refusals.
func TestEveryReasonOfFindersIsInTheTable(t *testing.T) {
	known := map[string]bool{}
	for _, row := range door.Table() {
		known[string(row.Reason)] = true
	}
	text := source(t, "dataplane/transcode") + source(t, "dataplane/directory") + source(t, "dataplane/pull") +
		source(t, "dataplane/pod")
	found := regexp.MustCompile(`(?:unavailable\(\s*|UnavailableError\{\s*Reason:\s+)"(\w+)"`).
		FindAllStringSubmatch(text, -1)
	if len(found) < 8 {
		t.Fatalf("only %d reasons were found", len(found))
	}
	for _, one := range found {
		if !known[one[1]] {
			t.Errorf("the table of refusals has no row for %s", one[1])
		}
	}
}

func TestEveryEndOfASessionIsExplained(t *testing.T) {
	page := read(t, "operations.md")
	reasons := regexp.MustCompile(`(?:\.close\(|reason :?= )"([a-z][\w -]+)"`).
		FindAllStringSubmatch(source(t, "dataplane/relay"), -1)
	if len(reasons) < 10 {
		t.Fatalf("only %d reasons were found", len(reasons))
	}
	for _, reason := range reasons {
		if !strings.Contains(page, "`"+reason[1]+"`") {
			t.Errorf("operations.md does not name the reason %q", reason[1])
		}
	}
}

// Every reason with which a publisher is refused stands in a table of publishing.md, beside its status code.
func TestEveryRefusalOfPublishersIsExplained(t *testing.T) {
	text := source(t, "dataplane/ingest")
	page := read(t, "publishing.md")
	codes := map[string]string{}
	for _, code := range regexp.MustCompile(`(status\w+)\s+status = "([^"]+)"`).FindAllStringSubmatch(text, -1) {
		codes[code[1]] = code[2]
	}
	refusals := regexp.MustCompile(`refuse\((status\w+), "(\w+)"`).FindAllStringSubmatch(text, -1)
	if len(refusals) < 10 || len(codes) < 5 {
		t.Fatalf("only %d refusals and %d codes were found", len(refusals), len(codes))
	}
	for _, refusal := range refusals {
		if len(rows(page, "`"+refusal[2]+"`", "`"+codes[refusal[1]]+"`")) == 0 {
			t.Errorf("publishing.md has no row for %s with %s", refusal[2], codes[refusal[1]])
		}
	}
	var others []string
	for _, row := range check.Table() {
		if !row.Informs {
			others = append(others, string(row.Reason))
		}
		if row.CanReject() && len(rows(page, "| `"+string(row.Reason)+"` |", "`"+row.Field+": Reject`")) != 1 {
			t.Errorf("publishing.md has not one row for %s with `%s: Reject`", row.Reason, row.Field)
		}
	}
	for _, reason := range regexp.MustCompile(`(?:reason :?= |WithLabelValues\()"(\w+)"`).FindAllStringSubmatch(text, -1) {
		others = append(others, reason[1])
	}
	for _, reason := range others {
		if !strings.Contains(page, "`"+reason+"`") {
			t.Errorf("publishing.md does not name the reason %s", reason)
		}
	}
}

// Every check of sources stands in pods.md as the table of checks has it.
func TestEveryCheckOfSourcesIsExplained(t *testing.T) {
	page := read(t, "pods.md")
	for _, row := range check.Table() {
		if found := rows(page, "| `"+string(row.Reason)+"`", "| "+row.Property+" |", "| "+row.Remedy+" |"); len(found) != 1 {
			t.Errorf("pods.md has not one row for check %s: | `%s` | %s | %s |",
				row.Reason, row.Reason, row.Property, row.Remedy)
		}
	}
}

// Every dialect stands in playing.md with the requests that are of it.
func TestEveryDialectIsExplained(t *testing.T) {
	page := read(t, "playing.md")
	for _, row := range signal.Table() {
		texts := []string{"| `" + row.Name() + "` |"}
		for _, text := range []string{row.Path, row.ContentType, row.StopPath} {
			if text != "" {
				texts = append(texts, "`"+text+"`")
			}
		}
		if len(rows(page, texts...)) != 1 {
			t.Errorf("playing.md has not one row of a table with %s", strings.Join(texts, " "))
		}
	}
}
