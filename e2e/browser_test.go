// Package e2e shows the whole of Millrace at work: real publishers, the real server, real players.
package e2e

import (
	"context"
	"encoding/json"
	"fmt"
	"testing"
	"time"

	"github.com/go-logr/logr/testr"

	"github.com/millrace/millrace/e2e/browser"
	"github.com/millrace/millrace/e2e/stack"
	"github.com/millrace/millrace/internal/testkit"
	"github.com/millrace/millrace/internal/testsrc"
)

// limit bounds one browser test with all its processes.
const limit = 4 * time.Minute

// needBrowser skips the test where its tools are missing; where CI runs that is a failure.
func needBrowser(t *testing.T) {
	t.Helper()
	if err := browser.Ready(); err != nil {
		testkit.Missing(t, fmt.Sprintf("browser tests cannot run: %v", err))
	}
}

// service starts the server for one test.
func service(t *testing.T) (context.Context, *stack.Stack) { return serviceWith(t, "") }

// serviceWith starts it with more manifests.
func serviceWith(t *testing.T, manifests string) (context.Context, *stack.Stack) {
	t.Helper()
	needBrowser(t)
	ctx, cancel := context.WithTimeout(t.Context(), limit)
	t.Cleanup(cancel)
	opt := stack.Options{Manifests: manifests}
	if testing.Verbose() {
		opt.Log = testr.NewWithOptions(t, testr.Options{Verbosity: 1})
	}
	s, err := stack.Start(ctx, opt)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Stop(); err != nil {
			t.Errorf("stopping the server: %v", err)
		}
	})
	return ctx, s
}

// publish starts a publisher, which ends with the context, and waits until its stream is live.
func publish(
	ctx context.Context,
	t *testing.T,
	s *stack.Stack,
	pair stack.Pair,
	name string,
	o testsrc.Options,
) *testsrc.Publisher {
	t.Helper()
	p, err := s.Publish(ctx, pair, name, o)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// drive runs a scenario against the server and decodes the results of its steps.
func drive[R any](
	ctx context.Context,
	t *testing.T,
	s *stack.Stack,
	parallel bool,
	steps []browser.Step,
	on func(browser.Event),
) []R {
	t.Helper()
	return run[R](ctx, t, s, browser.Scenario{Parallel: parallel, Steps: steps}, on)
}

// run is drive for scenarios with settings of their own.
func run[R any](
	ctx context.Context,
	t *testing.T,
	s *stack.Stack,
	scenario browser.Scenario,
	on func(browser.Event),
) []R {
	t.Helper()
	scenario.HTTPPort, scenario.HTTPSPort, scenario.TimeoutSeconds = s.HTTP, s.HTTPS, limit.Seconds()
	raw, err := browser.Drive(ctx, scenario, func(e browser.Event) {
		if testing.Verbose() && e.Event != "result" {
			t.Log(e.Line)
		}
		if on != nil {
			on(e)
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	results := make([]R, len(raw))
	for i, r := range raw {
		if err := json.Unmarshal(r, &results[i]); err != nil {
			t.Fatalf("result of step %d: %v in %s", i, err, r)
		}
	}
	return results
}
