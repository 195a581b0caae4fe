package edge

import (
	"github.com/millrace/millrace/dataplane/door"
	"github.com/millrace/millrace/dataplane/hub"
	"github.com/millrace/millrace/internal/contract/plan"
)

// Load is what an edge serves now.
type Load struct {
	door.Load
	Streams map[string]map[string]int // viewers by stream (hub.Key.String) and protocol
}

// Load sums up the viewers. It is for once a second, not for each viewer.
func (e *Edge) Load() Load {
	l := Load{Load: e.door.Load(plan.Standard), Streams: map[string]map[string]int{}}
	count := func(stream, kind string) {
		if l.Streams[stream] == nil {
			l.Streams[stream] = map[string]int{}
		}
		l.Streams[stream][kind]++
	}
	for _, v := range e.all() {
		count(v.stream, v.kind)
	}
	e.door.Polls(func(_ string, stream hub.Key) { count(stream.String(), "hls") })
	return l
}
