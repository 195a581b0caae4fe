// Package mux puts frames into containers: fragmented MP4 (ISO/IEC 14496-12) and MPEG-TS (ISO/IEC 13818-1). It knows
// nothing of playlists, requests or policies.
package mux

import (
	"time"

	"github.com/millrace/millrace/dataplane/media"
)

// Packager makes the bytes of one part after another from the frames of a stream. It is not safe for concurrent use.
type Packager interface {
	// Init returns the initialisation segment of the tracks in force; nil when the format has none.
	Init(video, audio *media.Track) ([]byte, error)
	// Add takes a frame with its duration into the part.
	Add(f *media.Frame, duration time.Duration) error
	// Size is about the number of bytes that the part has so far.
	Size() int
	// Flush returns the bytes of the part, and begins the next.
	Flush() ([]byte, error)
}
