package pods

import (
	"fmt"
	"net/http"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/millrace/millrace/internal/contract"
	"github.com/millrace/millrace/internal/testkit"
	"github.com/millrace/millrace/internal/testsrc"
)

// supervisedRelay runs an ingest and a relay with a parent process, which keeps its addresses when it is started with
// the same arguments again.
func supervisedRelay(t *testing.T) (ingest, relay *proc, args []string) {
	t.Helper()
	c := newCluster(t)
	c.mkdirs()
	for _, role := range []contract.Role{contract.Ingest, contract.Relay} {
		c.deliver(role, service(0), false)
	}
	ingest = c.place(contract.Ingest, "ingest-0")
	ingest.start()
	args = []string{
		"--supervised",
		contract.FlagInt(contract.FlagMediaPort, c.freePort()),
		// Tests end a drain themselves, by a kill or because nobody watches.
		contract.FlagInt(contract.FlagDrainSeconds, int(2*testkit.Patience().Seconds())),
		contract.FlagInt("drain-soft-seconds", int(testkit.Patience().Seconds())),
		contract.FlagInt("drain-accept-seconds", 1),
	}
	relay = c.place(contract.Relay, "relay-0")
	relay.start(args...)
	return ingest, relay, args
}

// The process of a relay that serves is killed: its parent starts it again at once, its players are told, and can join.
// One that does not last ends the parent too; SIGTERM ends both.
func TestAKilledProcessIsStartedAgainInItsContainer(t *testing.T) {
	ingest, relay, supervised := supervisedRelay(t)
	ingest.publish("one", testsrc.Options{GOPSeconds: 1})
	a := relay.watch("one", 3)
	a.playing(3)
	relay.wait("it has lasted", func() bool { return time.Since(relay.state().Since) > 11*time.Second })
	first := relay.state()
	if first.Process == relay.cmd.Process.Pid || first.Restarts != 0 {
		t.Fatalf(
			"process %d serves, started again %d times; the parent is %d",
			first.Process,
			first.Restarts,
			relay.cmd.Process.Pid,
		)
	}
	killed := time.Now()
	if err := syscall.Kill(first.Process, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	relay.wait("it is ready again", func() bool { return relay.ready() && relay.state().Restarts == 1 })
	back := time.Since(killed)
	t.Logf("ready %v after the kill", back.Round(time.Millisecond))
	relay.wait("the players are told", func() bool {
		_, m := relay.get(contract.PathMetrics)
		return strings.Contains(m, "millrace_relay_farewells_total 3\n")
	})
	a.end()
	b := relay.watch("one", 3)
	b.playing(3)
	if code, m := relay.get(contract.PathMetrics); code != http.StatusOK ||
		!strings.Contains(m, "millrace_process_restarts_total 1\n") {
		t.Error("the metric does not say so")
	}
	relay.wait("it has lasted", func() bool { return time.Since(relay.state().Since) > 11*time.Second })
	second := relay.state().Process
	for n, ended := 1, false; !ended; n++ { // the second time it lasted, the third time it has not
		if err := syscall.Kill(second, syscall.SIGKILL); err != nil {
			t.Fatal(err)
		}
		testkit.Eventually(t, "it is started again, or the parent ends", func() bool {
			select {
			case <-relay.done:
				ended = true
			default:
			}
			s := relay.state()
			return ended || s.Process != 0 && s.Process != second
		})
		if n > 2 {
			t.Fatal("it is started again without end")
		}
		second = relay.state().Process
	}
	if relay.err == nil || !strings.Contains(relay.out.String(), "signal: killed") {
		t.Errorf("the parent ended with %v", relay.err)
	}
	b.end()
	relay.start(supervised...)
	child := relay.state().Process
	relay.term()
	<-relay.done
	if relay.err != nil {
		t.Errorf("after SIGTERM: %v", relay.err)
	}
	if err := syscall.Kill(child, 0); err == nil {
		t.Error("the child is there still: " + fmt.Sprint(child))
	}
}
