// Package alive lets one container of a pod see, within a millisecond, that no process of another one is left: a file
// in a volume that both have is locked for as long as its processes live. The kernel gives a lock back, however a
// process ends.
package alive

import "time"

// The locked files, below a folder that the containers share.
const (
	Process = "alive" // by every process
	Ports   = "ports" // by the process that is about to open its ports, and from then on
)

// How often it is looked whether there are processes, while there are none, and whether one has come to its ports.
const (
	again = 50 * time.Millisecond
	soon  = 5 * time.Millisecond
)
