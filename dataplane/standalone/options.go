// Package standalone runs every role of the data plane in one process on a folder of manifests.
package standalone

import (
	"errors"
	"io"
	"net/netip"
	"time"

	"github.com/go-logr/logr"

	"github.com/millrace/millrace/dataplane/transcode"
)

// Options make a standalone process. Manifests is needed; zero values take the defaults. A port of 0 takes a free one;
// a negative one turns the listener off.
type Options struct {
	Manifests []string // files and folders
	Log       logr.Logger
	Out       io.Writer // tables and changes, for people; default: nothing

	Address    string // on which RTMP, RTMPS, HTTP and HTTPS listen; default: all
	RTMPPort   int
	RTMPSPort  int
	HTTPPort   int
	HTTPSPort  int
	MediaPort  int    // UDP and TCP
	AdminAddr  string // host:port of metrics and state; empty: off
	RTSPAddr   string // host:port on which any RTSP tool can look at every stream; empty: off
	SelfSigned bool   // serve HTTPS and RTMPS with a certificate made at start for domains that have none
	CertFile   string // PEM, serves domains that have none of their own
	KeyFile    string

	MediaListen []netip.Addr     // addresses for media; default: all of the machine
	Advertise   []netip.AddrPort // told to players in their place
	NoTCP       bool             // no ICE-TCP

	MaxViewers  int
	MaxHalfOpen int
	MaxCPU      float64       // share of all cores beyond which new viewers are refused; 0: no limit
	MaxEgress   float64       // Mbit/s to viewers beyond which new ones are refused; 0: no limit
	Hold        time.Duration // how long a stream waits for its encoder
	DrainTime   time.Duration // for viewers at the end

	FFmpeg           string            // the program that transcodes; default "ffmpeg" from the PATH
	Encoder          transcode.Encoder // default Auto
	MaxTranscodes    int               // renditions at the same time
	TranscodeThreads int               // of each rendition
	TranscodeIdle    time.Duration     // how long a rendition outlives its last viewer

	// Started is called once, when everything listens.
	Started func(Addresses)
}

// Addresses are where a process listens; the zero value means that it does not.
type Addresses struct {
	RTMP, RTMPS, HTTP, HTTPS netip.AddrPort
	Media                    uint16
	Admin, RTSP              netip.AddrPort
}

// Default ports.
const (
	DefaultRTMPPort  = 1935
	DefaultRTMPSPort = 1936
	DefaultHTTPPort  = 8080
	DefaultHTTPSPort = 8443
	DefaultMediaPort = 8000
)

var errNoManifests = errors.New("no manifests given; name a file or a folder with -f")
