//go:build !linux

package transcode

import "time"

// childCPU is not measured here: only the number of sessions bounds them.
func childCPU(int) (time.Duration, bool) { return 0, false }

func ownCPU() time.Duration { return 0 }
