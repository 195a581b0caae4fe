package e2e

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"testing"
	"time"

	"github.com/go-logr/logr/testr"

	"github.com/millrace/millrace/e2e/stack"
	"github.com/millrace/millrace/internal/testkit"
	"github.com/millrace/millrace/internal/testsrc"
)

// needWerift skips the test where Node or the package is missing; where CI runs that is a failure.
func needWerift(t *testing.T) {
	t.Helper()
	_, err := exec.LookPath("node")
	if err == nil {
		_, err = os.Stat("werift/node_modules/werift/package.json")
	}
	if err == nil {
		return
	}
	testkit.Missing(t, fmt.Sprintf("werift cannot run: %v; in the top folder: hack/install-npm.sh e2e/werift", err))
}

// TestWeriftPlays lets a WebRTC stack that shares no code with the server or with its other players join and count.
func TestWeriftPlays(t *testing.T) {
	needWerift(t)
	ctx, cancel := context.WithTimeout(t.Context(), limit)
	defer cancel()
	s, err := stack.Start(ctx, stack.Options{Log: testr.New(t)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Stop(); err != nil {
			t.Errorf("stopping the server: %v", err)
		}
	})
	publish(ctx, t, s, stack.Open, "werift", testsrc.Options{})
	const frames = 90
	cmd := exec.CommandContext(
		ctx,
		"node",
		"play.mjs",
		fmt.Sprintf("127.0.0.1:%d", s.HTTP),
		stack.Open.Play(),
		"/live/werift",
		fmt.Sprint(frames),
	)
	cmd.Dir = "werift"
	cmd.WaitDelay = 10 * time.Second
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	var seen struct {
		Packets, Frames, Bytes int
		State                  string
	}
	if err := json.Unmarshal(out, &seen); err != nil {
		t.Fatalf("%v in %s", err, out)
	}
	if seen.Frames != frames || seen.Packets < frames || seen.Bytes == 0 || seen.State != "connected" {
		t.Errorf("werift saw %s", out)
	}
}
