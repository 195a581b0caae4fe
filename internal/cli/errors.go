// Package cli holds the commands of the millrace binary. A command reads its flags, calls one package of the data plane
// and prints; it logs through the logr.Logger in its context.
package cli

import "errors"

// ErrReported is wrapped by the error of a command that has already told the user what is wrong, for example as JSON or
// as a list: the process exits with 1 and prints nothing more.
var ErrReported = errors.New("already reported")

// UsageError says that a command was called wrongly, with flags or arguments that do not fit: the process exits with 2.
type UsageError struct{ Err error }

// Error returns the wrapped error's text.
func (e *UsageError) Error() string { return e.Err.Error() }

// Unwrap returns the wrapped error.
func (e *UsageError) Unwrap() error { return e.Err }
