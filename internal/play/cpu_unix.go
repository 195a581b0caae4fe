//go:build unix

package play

import (
	"time"

	"golang.org/x/sys/unix"
)

// cpuTime is what this process has spent so far, user and system.
func cpuTime() time.Duration {
	var usage unix.Rusage
	if unix.Getrusage(unix.RUSAGE_SELF, &usage) != nil {
		return 0
	}
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
}
