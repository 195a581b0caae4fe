package pods

import (
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/millrace/millrace/dataplane/pod"
	"github.com/millrace/millrace/internal/contract"
	"github.com/millrace/millrace/internal/play/meter"
	"github.com/millrace/millrace/internal/testkit"
	"github.com/millrace/millrace/internal/testsrc"
)

// All processes of a relay are killed, its first one included: what runs beside it tells the players, answers for the
// relay until there is one again, and ends after the last one when it has been asked to.
func TestWhatRunsBesideARelayTellsPlayersOfItsEnd(t *testing.T) {
	ingest, relay, supervised := supervisedRelay(t)
	state := filepath.Join(relay.c.dir, "state-"+relay.name)
	var out testkit.Output
	beside := exec.Command(
		binary(t),
		contract.CommandFarewell,
		"--class",
		class,
		"--state-dir",
		state,
		"--address",
		"127.0.0.1",
		contract.FlagInt(contract.FlagHTTPPort, relay.http),
		contract.FlagInt(contract.FlagHTTPSPort, -1),
	)
	beside.Stdout, beside.Stderr = &out, &out
	if err := startWithUs(beside); err != nil {
		t.Fatal(err)
	}
	kept := func() (players int) {
		file, err := os.ReadFile(filepath.Join(state, pod.CloseNoticesFile))
		if err != nil {
			t.Fatal(err)
		}
		for at := 0; at < len(file); at += 256 { // a slot for each, which begins with 0xf1
			if file[at] == 0xf1 {
				players++
			}
		}
		return players
	}
	ended := make(chan error, 1)
	go func() { ended <- beside.Wait() }()
	t.Cleanup(func() {
		_ = beside.Process.Kill() // it may have ended
		if t.Failed() {
			t.Log(out.String())
		}
	})

	ingest.publish("one", testsrc.Options{GOPSeconds: 1})
	for round := 1; round <= 2; round++ {
		a := relay.watch("one", 3)
		a.playing(3)
		relay.wait("their connections are parked", func() bool { return kept() == 3 })
		if round == 2 { // a pod that is being deleted: both are asked to end, and the relay drains
			relay.term()
			relay.wait("it drains", func() bool { return !relay.ready() })
			if err := beside.Process.Signal(syscall.SIGTERM); err != nil {
				t.Fatal(err)
			}
		}
		relay.kill()
		select {
		case report := <-a.report: // all have ended by themselves
			for _, one := range report.Each {
				if one.Ended != meter.EndedByServer {
					t.Errorf("a player ended: %q", one.Ended)
				}
			}
		case <-time.After(testkit.Patience()):
			t.Fatal("the players do not know")
		}
		testkit.Eventually(t, "it says whom it told",
			func() bool { return strings.Count(out.String(), `{"players": 3, "told": 3}`) == round },
		)
		if round == 1 {
			answersWithItself(t, relay)
			relay.start(supervised...)
			if _, m := relay.get(contract.PathMetrics); !strings.Contains(m, "millrace_relay_farewells_total 0\n") {
				t.Error("players were told a second time, by the next relay")
			}
		}
	}
	select {
	case err := <-ended:
		if err != nil {
			t.Errorf("it ended with %v", err)
		}
	case <-time.After(testkit.Patience()):
		t.Error("it goes on without a relay after SIGTERM")
	}
}

// answersWithItself asks a pod without a relay for a stream: the answer is the same URL, once more, with the same
// content, by another connection.
func answersWithItself(t *testing.T, relay *proc) {
	t.Helper()
	client := &http.Client{
		Timeout:       testkit.Patience(),
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	ask := func(method, path string) *http.Response {
		req, err := http.NewRequestWithContext(
			t.Context(),
			method,
			fmt.Sprintf("http://127.0.0.1:%d%s", relay.http, path),
			strings.NewReader("v=0"),
		)
		if err != nil {
			t.Fatal(err)
		}
		req.Host = rts
		res, err := client.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		_ = res.Body.Close() // it is not read
		return res
	}
	res := ask(http.MethodPost, "/live/one?auth_key=a%2Fb")
	if res.StatusCode != http.StatusTemporaryRedirect || res.Header.Get("Location") != "/live/one?auth_key=a%2Fb" ||
		!res.Close ||
		res.Header.Get("Access-Control-Allow-Origin") != "*" {
		t.Errorf("an offer is answered %s, %v, connection closed %v", res.Status, res.Header, res.Close)
	}
	if res := ask(http.MethodOptions, "/live/one"); res.StatusCode != http.StatusOK {
		t.Errorf("a pre-flight is answered %s", res.Status) // browsers follow no redirect there
	}
	if res := ask(http.MethodPost, "//elsewhere.example.com/live/one"); res.StatusCode != http.StatusServiceUnavailable ||
		res.Header.Get("Location") != "" {
		t.Errorf("a path that leads to another host is answered %s, %v", res.Status, res.Header)
	}
}
