package fanout

import (
	"errors"
	"strings"
	"testing"
)

// isPanic checks that an error tells of a panic: with what, where, and once.
func isPanic(t *testing.T, err error, value any, where string) {
	t.Helper()
	var broke *PanicError
	if !errors.As(err, &broke) || !errors.Is(err, ErrPanic) {
		t.Fatalf("it ended with %v", err)
	}
	if broke.Value != value || !strings.Contains(string(broke.Stack), where) {
		t.Errorf("the panic's value is %v, and its stack\n%s", broke.Value, broke.Stack)
	}
	if !broke.First() || broke.First() {
		t.Error("a panic is not told exactly once")
	}
}
