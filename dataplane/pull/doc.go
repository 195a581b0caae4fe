// Package pull carries live streams between processes, and to any tool that speaks it, by RTSP over one TCP connection
// (RFC 2326, interleaved RTP): a Server shows the streams of a hub, a Client brings one into another hub.
//
// What RTP leaves open is settled so:
//
//   - RTP timestamps are PTS on the stream's own timeline, without a random start, the same for all tracks.
//   - Sender reports tell when a frame reached the ingest: the NTP time of PTS p is the ingest's clock at which a frame
//     with DTS p came in. They come before the first packet, then every 2 s, and are the same line for all tracks.
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
	maxPath     = 4096            // bytes of the path of a URL
	findTime    = 8 * time.Second // for a stream that is made on demand
)

// Path is the path of a stream's URL: /space/app/name. Bytes that mean something in URLs are written as "=" and two hex
// digits, for percent signs are read differently by different tools.
func Path(key hub.Key) string {
	return "/" + escape(key.Space, false) + "/" + escape(key.App, false) + "/" + escape(key.Name, true)
}

const hexDigits = "0123456789ABCDEF"

func escape(s string, slashes bool) string {
	var b strings.Builder
	for i := range len(s) {
		c := s[i]
		switch {
		case c >= 'a' && c <= 'z',
			c >= 'A' && c <= 'Z',
			c >= '0' && c <= '9',
			c == '-',
			c == '.',
			c == '_',
			c == '~',
			c == '@',
			c == '/' && slashes:
			b.WriteByte(c)
		default:
			b.Write([]byte{'=', hexDigits[c>>4], hexDigits[c&15]})
		}
	}
	return b.String()
}

// unescape undoes escape; what escape does not write stays as it is.
func unescape(s string) string {
	if !strings.Contains(s, "=") {
		return s
	}
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		if s[i] == '=' && i+2 < len(s) {
			high, low := strings.IndexByte(hexDigits, s[i+1]), strings.IndexByte(hexDigits, s[i+2])
			if high >= 0 && low >= 0 {
				b.WriteByte(byte(high<<4 | low))
				i += 2
				continue
			}
		}
		b.WriteByte(s[i])
	}
	return b.String()
}

// parsePath reads /space/app/name. The name may hold slashes.
func parsePath(path string) (hub.Key, bool) {
	if len(path) > maxPath {
		return hub.Key{}, false
	}
	parts := strings.SplitN(strings.TrimPrefix(path, "/"), "/", 3)
	if len(parts) != 3 || parts[0] == "" || parts[1] == "" || parts[2] == "" {
		return hub.Key{}, false
	}
	return hub.Key{Space: strings.ToLower(unescape(parts[0])), App: unescape(parts[1]), Name: unescape(parts[2])}, true
}
