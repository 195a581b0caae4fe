package fanout

import (
	"errors"
	"fmt"
	"runtime/debug"
	"sync/atomic"
)

// ErrPanic ends a viewer with which, or a stream with whose frames, something went wrong that nobody foresaw. It is
// wrapped by a PanicError.
var ErrPanic = errors.New("a panic")

// PanicError is a panic that ended one viewer, or the viewers of one stream, and not the process.
type PanicError struct {
	Doing string // what was done, such as "packetising"
	Value any
	Stack []byte // of the goroutine, as runtime/debug writes it

	told atomic.Bool
}

// First reports whether it is asked for the first time: a stream's panic ends all its viewers, and is told once.
func (e *PanicError) First() bool { return e.told.CompareAndSwap(false, true) }

// caught is called where a panic was recovered, on its goroutine.
func caught(doing string, value any) *PanicError {
	return &PanicError{Doing: doing, Value: value, Stack: debug.Stack()}
}

// Error returns the panic's value without its stack.
func (e *PanicError) Error() string {
	return fmt.Sprintf("%v while %s: %v", ErrPanic, e.Doing, e.Value)
}

// Unwrap returns ErrPanic.
func (e *PanicError) Unwrap() error { return ErrPanic }
