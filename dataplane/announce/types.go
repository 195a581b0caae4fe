// Package announce is how pods tell each other and the operator what they have: a long-lived HTTP response of JSON
// lines. What is told is state, not events: a listener that comes late or is slow learns how things are now, and a
// listener whose connection ends forgets all that it was told.
package announce

import (
	"time"

	"github.com/millrace/millrace/dataplane/media"
)

// Line is one line; exactly one of the members is set. The first line of a connection is Hello, then come all streams,
// then Status, after which the listener knows all; then what changes.
type Line struct {
	Hello     *Hello     `json:"hello,omitempty"`
	Stream    *Stream    `json:"stream,omitempty"`
	Gone      *Gone      `json:"gone,omitempty"`
	Status    *Status    `json:"status,omitempty"`
	Heartbeat *Heartbeat `json:"heartbeat,omitempty"`
}

// Hello says who speaks.
type Hello struct {
	Pod    string `json:"pod"`
	Node   string `json:"node,omitempty"`
	Role   string `json:"role"`
	Class  string `json:"class"`
	Region string `json:"region"`
	Boot   string `json:"boot"` // another one after each start of the process
}

// State of a stream.
type State string

// The states: a held stream waits for its encoder.
const (
	Live State = "Live"
	Held State = "Held"
)

// ID names a stream: the main play domain, app and name.
type ID struct {
	Space string `json:"space"`
	App   string `json:"app"`
	Name  string `json:"name"`
}

// String returns "space/app/name".
func (id ID) String() string { return id.Space + "/" + id.App + "/" + id.Name }

// Stream is a stream that can be pulled from the pod.
type Stream struct {
	ID
	PushDomain string      `json:"pushDomain,omitempty"`
	Epoch      uint64      `json:"epoch"` // the higher one wins; Unix milliseconds of the publish, or more
	State      State       `json:"state"`
	Since      time.Time   `json:"since"`
	Remote     string      `json:"remote,omitempty"` // address of the encoder
	Facts      media.Facts `json:"facts"`
	Of         string      `json:"of,omitempty"`       // of a rendition: the name of its source
	Template   string      `json:"template,omitempty"` // and the id of its template
}

// Gone says that a stream is over.
type Gone struct {
	ID
	Epoch uint64 `json:"epoch"`
}

// Status is how the pod is.
type Status struct {
	PlanHash   string  `json:"planHash,omitempty"` // of the Plan that it runs on
	Ready      bool    `json:"ready"`
	Draining   bool    `json:"draining,omitempty"`
	Headroom   float64 `json:"headroom"` // 0: full, 1: idle
	Sessions   int     `json:"sessions"`
	EgressMbps float64 `json:"egressMbps"`

	Domains map[string]Domain         `json:"domains,omitempty"` // by play domain
	Viewers map[string]map[string]int `json:"viewers,omitempty"` // by stream (ID.String) and kind of player
}

// Domain is what a play domain costs the pod.
type Domain struct {
	Viewers    int     `json:"viewers"`
	EgressKbps float64 `json:"egressKbps"`
}

// Heartbeat says that nothing changed.
type Heartbeat struct{}

// Times of a connection.
const (
	BeatEvery  = time.Second     // lines come at least this often
	SilentFor  = 3 * time.Second // without a line after which a listener takes the connection for dead
	StatusMost = time.Second     // between two lines of status
)
