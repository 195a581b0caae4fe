// Package alive lets one container of a pod see, within a millisecond, that no process of another one is left: a file in a volume that both have is
// locked for as long as its processes live. The kernel gives a lock back, however a process ends.
package alive

import "time"

// File is the name of the locked file, below a folder that the containers share.
const File = "alive"

// again is how often it is looked whether there are processes, while there are none.
const again = 50 * time.Millisecond
