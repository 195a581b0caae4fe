package testkit

import (
	"context"
	"fmt"
	"os"
	"testing"
	"time"
)

// PatienceVariable names the environment variable that replaces the default of Patience: a duration, as 5m.
const PatienceVariable = "MILLRACE_TEST_PATIENCE"

// Patience returns how long a test waits for what must happen. It guards against tests that hang and says nothing about
// how fast anything is: machines may be slow and busy.
func Patience() time.Duration {
	const usual = 2 * time.Minute
	text := os.Getenv(PatienceVariable)
	if text == "" {
		return usual
	}
	d, err := time.ParseDuration(text)
	if err != nil || d < usual {
		panic(fmt.Sprintf("%s=%q: want a duration of at least %s, as 5m", PatienceVariable, text, usual))
	}
	return d
}

// Context returns a context that ends with the test's patience, or with the test.
func Context(t testing.TB) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), Patience())
	t.Cleanup(cancel)
	return ctx
}

// poll is how often a condition is looked at.
const poll = 10 * time.Millisecond

// Eventually waits until a condition holds, and fails the test when it does not within Patience. Then it calls tell
// first, to log what was seen last. It works in clean-ups too, where the test's context is over.
func Eventually(t testing.TB, what string, ok func() bool, tell ...func()) {
	t.Helper()
	for end := time.Now().Add(Patience()); !ok(); time.Sleep(poll) {
		if time.Now().Before(end) {
			continue
		}
		for _, one := range tell {
			one()
		}
		t.Fatalf("%s: not within %s", what, Patience())
	}
}

// Succeeds waits until an attempt returns nil, and fails the test with its last error when none does within Patience.
func Succeeds(t testing.TB, attempt func() error) {
	t.Helper()
	SucceedsWithin(t, Patience(), attempt)
}

// SucceedsWithin is Succeeds for what takes longer than Patience even on a fast machine.
func SucceedsWithin(t testing.TB, limit time.Duration, attempt func() error) {
	t.Helper()
	end := time.Now().Add(limit)
	for {
		err := attempt()
		if err == nil {
			return
		}
		if time.Now().After(end) {
			t.Fatalf("not within %s: %v", limit, err)
		}
		time.Sleep(poll)
	}
}

// Receive returns the next value of a channel, the zero value when it is closed, and fails the test when neither comes
// within Patience.
func Receive[T any](t testing.TB, what string, from <-chan T) T {
	t.Helper()
	late := time.NewTimer(Patience())
	defer late.Stop()
	select {
	case v := <-from:
		return v
	case <-late.C:
		t.Fatalf("%s: not within %s", what, Patience())
	}
	panic("unreachable")
}
