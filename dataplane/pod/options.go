// Package pod runs one role of the data plane as a process among others: it takes its Plan as it is delivered,
// announces its streams, finds those of other pods, answers probes, and drains at its end.
package pod

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"time"

	"github.com/go-logr/logr"

	"github.com/millrace/millrace/dataplane/announce"
	"github.com/millrace/millrace/dataplane/transcode"
	"github.com/millrace/millrace/internal/contract"
)

// Cluster is what a pod asks of Kubernetes. Each call lasts until its context ends.
type Cluster interface {
	WatchPlan(ctx context.Context, class string, role contract.Role, offer func([]map[string][]byte) error)
	WatchPeers(ctx context.Context, region string, roles []contract.Role, tell func([]announce.Peer))
}

// Options make a process. Role, Class, PlanDir and TLSDir are needed; a port of 0 takes a free one.
type Options struct {
	Role   contract.Role
	Class  string
	Region string
	Log    logr.Logger

	Pod       string // its name; default: the host's
	Namespace string
	Node      string
	PodIP     netip.Addr
	HostIPs   []netip.Addr

	Address      string // on which everything but the admin port listens; default: all
	AdminAddress string // default: all
	// AdminProbesOnly serves probes alone on the admin port to others than this machine: metrics and state need loopback.
	AdminProbesOnly bool
	Pprof           bool // Go's profiles on the admin port
	RTMPPort        int
	RTMPSPort       int
	HTTPPort        int
	HTTPSPort       int
	MediaPort       int
	InternalPort    int
	RTSPPort        int
	AdminPort       int

	PlanDir  string
	TLSDir   string
	StateDir string // empty: nothing is remembered

	Peers   []announce.Peer // fixed ones, in place of those that the cluster tells
	Cluster Cluster         // nil: the process runs in no cluster

	MediaListen   []netip.Addr     // addresses for media; default: all of the machine
	Advertise     []netip.AddrPort // told to players while the Plan's addresses do not name the pod
	AdvertisePort int              // told with HostIPs or PodIP; 0: the media port
	AddressFrom   string           // contract.AddressFromHost or AddressFromPod
	NoTCP         bool

	MaxViewers  int
	MaxHalfOpen int
	MaxCPU      float64
	MaxEgress   float64

	FFmpeg      string            // of a transcoder: the program
	Encoder     transcode.Encoder // of video
	Threads     int               // of each rendition's encoder
	MaxSessions int               // renditions at the same time
	Idle        time.Duration     // how long a rendition outlives its last reader

	Hold        time.Duration // how long a stream waits for its encoder, or for a new origin
	Linger      time.Duration // how long a stream is fetched on after its last reader
	DrainTime   time.Duration // how long a drain may take at most
	DrainSoft   time.Duration // before viewers are asked to go elsewhere
	DrainAccept time.Duration // in which a draining pod still takes viewers: load balancers are slow to notice

	// Restarts is how often the process was started again by its parent.
	Restarts int

	// Started is called once, when everything listens.
	Started func(Addresses)
}

// Addresses are where a process listens; the zero value means that it does not.
type Addresses struct {
	RTMP, RTMPS, HTTP, HTTPS netip.AddrPort
	Internal, RTSP, Admin    netip.AddrPort
	Media                    uint16
}

var errNeeded = errors.New("other pods need the ports of announcements and RTSP; they cannot be turned off")

func (o *Options) defaults() error {
	if o.Class == "" {
		return fmt.Errorf("no class given; name the MediaClass with --%s", contract.FlagClass)
	}
	if o.InternalPort < 0 || o.RTSPPort < 0 {
		return errNeeded
	}
	if o.DrainTime <= 0 {
		o.DrainTime = contract.DefaultDrainSeconds * time.Second
	}
	o.DrainSoft = min(o.DrainSoft, o.DrainTime/2) // the rest is for asking them one after the other
	o.DrainAccept = min(o.DrainAccept, o.DrainTime)
	if o.Hold <= 0 {
		o.Hold = 10 * time.Second
	}
	if o.MaxViewers <= 0 {
		o.MaxViewers = 20_000
	}
	return nil
}

// announcers are the roles whose streams a role looks for.
func announcers(role contract.Role) []contract.Role {
	switch role {
	case contract.Ingest:
		return []contract.Role{contract.Ingest} // for streams that are published twice
	}
	return []contract.Role{contract.Ingest, contract.Transcoder}
}
