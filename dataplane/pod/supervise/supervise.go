// Package supervise runs a process that starts another one, and starts it again at once when that is killed or crashes:
// within the same container, with its addresses and files, some seconds before the kubelet would.
package supervise

import (
	"errors"
	"time"
)

// EnvRestarts tells the child how often it was started again. That it is set at all tells it that it is the child.
const EnvRestarts = "MILLRACE_RESTARTS"

// The limits. A child that does not last, or that ends again and again, ends the parent too: Kubernetes sees it then,
// and backs off.
const (
	lasted = 10 * time.Second // a child that ended sooner is not started again
	most   = 5                // times within the span
	span   = 10 * time.Minute
)

// ErrEnded is wrapped by the error about a child that ended, not asked to, and is not started again. It has told why by
// itself, if it could.
var ErrEnded = errors.New("it ended too soon or too often to be started again here")

// history is when the child was started again.
type history struct{ starts []time.Time }

// again reports whether a child that ran for so long may be started again now, and takes note of it.
func (h *history) again(ran time.Duration, now time.Time) bool {
	for len(h.starts) > 0 && now.Sub(h.starts[0]) > span {
		h.starts = h.starts[1:]
	}
	if ran < lasted || len(h.starts) >= most {
		return false
	}
	h.starts = append(h.starts, now)
	return true
}
