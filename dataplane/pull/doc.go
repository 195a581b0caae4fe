// Package pull carries live streams between processes, and to any tool that speaks it, by RTSP over one TCP connection
// (RFC 2326, interleaved RTP): a Server shows the streams of a hub, a Client brings one into another hub.
//
// What RTP leaves open is settled so:
//
//   - RTP timestamps are PTS on the stream's own timeline, without a random start, the same for all tracks.
//   - Sender reports tell when a frame reached the ingest: the NTP time of PTS p is the ingest's clock at which a frame with
//     DTS p came in. They come before the first packet, then every 2 s, and are the same line for all tracks.
//   - RTCP BYE for all tracks says that the stream is over. A connection that ends without it is broken.
package pull

import (
	"errors"
	"strings"
	"time"

	"github.com/millrace/millrace/dataplane/hub"
)

// The ends of a pull that callers tell apart; see Client.Run.
var (
	// ErrNotFound: the server has no such live stream.
	ErrNotFound = errors.New("the server has no such live stream")
	// ErrBroken: the connection ended, and the server did not say that the stream is over.
	ErrBroken = errors.New("the connection broke before the end of the stream")
	// ErrUnsupported: the stream has no track that is known.
	ErrUnsupported = errors.New("the stream has no H.264, H.265, MPEG-4 audio or Opus track")
)

const (
	reportEvery = 2 * time.Second // sender reports; while no frames come they are what keeps the connection alive
	maxPath     = 2048            // bytes of the path of a URL
)

// parsePath reads /space/app/name. The name may hold slashes.
func parsePath(path string) (hub.Key, bool) {
	if len(path) > maxPath {
		return hub.Key{}, false
	}
	parts := strings.SplitN(strings.TrimPrefix(path, "/"), "/", 3)
	if len(parts) != 3 || parts[0] == "" || parts[1] == "" || parts[2] == "" {
		return hub.Key{}, false
	}
	return hub.Key{Space: strings.ToLower(parts[0]), App: parts[1], Name: parts[2]}, true
}
