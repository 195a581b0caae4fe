//go:build !linux

package supervise

import (
	"context"
	"errors"

	"github.com/go-logr/logr"
)

// Run is there on Linux only, where containers are.
func Run(context.Context, logr.Logger) error {
	return errors.New("a process that starts another one again is for containers on Linux")
}
