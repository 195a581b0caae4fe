package cli

import (
	"errors"
	"fmt"
	"net/netip"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/go-logr/logr"
	"github.com/spf13/cobra"

	"github.com/millrace/millrace/dataplane/announce"
	"github.com/millrace/millrace/dataplane/pod"
	"github.com/millrace/millrace/dataplane/pod/alive"
	"github.com/millrace/millrace/dataplane/pod/supervise"
	"github.com/millrace/millrace/internal/contract"
	"github.com/millrace/millrace/internal/kube"
)

// NewPodCommands returns the commands that the pods of a cluster run, one for each role: "millrace ingest", "millrace
// relay", "millrace edge", "millrace transcoder"; and what runs beside a relay: "millrace farewell".
func NewPodCommands() []*cobra.Command {
	return []*cobra.Command{
		newPodCommand(contract.Ingest, "Take publishers in (a pod of a cluster)",
			"Takes streams in by RTMP and RTMPS, announces them to the other pods and lets these pull them."),
		newPodCommand(
			contract.Relay,
			"Serve viewers over WebRTC (a pod of a cluster)",
			"Serves RTS play domains: signalling over HTTP and HTTPS, media over UDP. Streams are pulled from the pods that "+
				"announce them.",
		),
		newPodCommand(
			contract.Edge,
			"Serve viewers by RTMP, HTTP-FLV and HLS (a pod of a cluster)",
			"Serves Standard play domains: RTMP, HTTP-FLV, WebSocket-FLV, HLS and low-latency HLS. Streams are pulled from "+
				"the pods that announce them.",
		),
		newPodCommand(
			contract.Transcoder,
			"Make renditions (a pod of a cluster)",
			"Makes renditions by the transcode templates, with ffmpeg, when another pod asks for one. Sources are pulled "+
				"from the pods that announce them.",
		),
		newFarewellCommand(),
	}
}

// podFlags are the flags as they are written.
type podFlags struct {
	opt                pod.Options
	drain, soft, admit int
	kubernetes         bool
	supervised         bool
}

func newPodCommand(role contract.Role, short, long string) *cobra.Command {
	f := &podFlags{opt: pod.Options{Role: role}}
	cmd := &cobra.Command{
		Use:   string(role) + " --class CLASS",
		Short: short,
		Long: long + "\n\nThe operator runs this command in pods. It takes its plan from mounted Secrets and, within a " +
			"second of a change, from the API " +
			"server; without the latter it goes on with what it knows. Without Kubernetes it runs on a folder with a plan " +
			"and fixed peers, for tests.",
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if role == contract.Relay && f.opt.StateDir != "" {
				held, err := alive.Hold(f.opt.StateDir, alive.Process)
				if err != nil {
					return err
				}
				defer func() { _ = held.Close() }() // nothing was written
			}
			if restarts, child := os.LookupEnv(supervise.EnvRestarts); child {
				f.opt.Restarts, _ = strconv.Atoi(restarts) // written by the parent
			} else if f.supervised || os.Getenv(contract.EnvSupervised) == "true" {
				err := supervise.Run(cmd.Context(), logr.FromContextOrDiscard(cmd.Context()).WithName("supervise"))
				if errors.Is(err, supervise.ErrEnded) {
					logr.FromContextOrDiscard(cmd.Context()).Error(err, "The process that serves has ended")
					return ErrReported
				}
				return err
			}
			if err := f.finish(logr.FromContextOrDiscard(cmd.Context())); err != nil {
				return err
			}
			return pod.Run(cmd.Context(), f.opt)
		},
	}
	f.register(cmd, role)
	return cmd
}

func (f *podFlags) register(cmd *cobra.Command, role contract.Role) {
	o, set := &f.opt, cmd.Flags()
	set.StringVar(&o.Class, contract.FlagClass, "", "MediaClass that the pod belongs to (required)")
	set.StringVar(&o.Region, contract.FlagRegion, "local", "region of the class; pods of one region find each other")
	set.StringVar(&o.Pod, "pod", "", "name of the pod (default $"+contract.EnvPodName+", else the host's name)")
	set.StringVar(&o.Address, "address", "", "address on which the pod listens, probes and metrics left out (default all)")
	set.StringVar(&o.AdminAddress, "admin-address", "", "address of probes and metrics (default all)")
	set.BoolVar(&o.AdminProbesOnly, "admin-probes-only", false,
		"serve probes alone on the admin port to other machines (also with $"+contract.EnvProbesOnly+"=true)")
	set.BoolVar(&o.Pprof, "pprof", false, "serve Go's profiles on the admin port, below /debug/pprof/")
	if role == contract.Ingest || role == contract.Edge {
		port(
			set,
			&o.RTMPPort,
			contract.FlagRTMPPort,
			contract.PortRTMP,
			-1,
			"port of RTMP; 0 takes a free one, -1 turns it off",
		)
		port(set, &o.RTMPSPort, contract.FlagRTMPSPort, contract.PortRTMPS, -1, "port of RTMPS; 0 free, -1 off")
	}
	if role == contract.Relay || role == contract.Edge {
		port(set, &o.HTTPPort, contract.FlagHTTPPort, contract.PortHTTP, -1, "port of HTTP; 0 free, -1 off")
		port(set, &o.HTTPSPort, contract.FlagHTTPSPort, contract.PortHTTPS, -1, "port of HTTPS; 0 free, -1 off")
		number(set, &o.MaxViewers, "max-viewers", 20_000, "viewers of this pod at most")
		rate(set, &o.MaxEgress, "max-egress-mbps", 0, "Mbit/s to viewers beyond which new ones are refused; 0 means no limit")
		span(set, &o.Linger, "linger", 10*time.Second, "how long a stream is pulled on after its last viewer")
		number(
			set,
			&f.soft,
			"drain-soft-seconds",
			60,
			"how long viewers are left alone in a drain before they are asked to go elsewhere; at most half of the drain",
		)
		number(set, &f.admit, "drain-accept-seconds", 5, "how long a draining pod still takes viewers")
	}
	if role == contract.Relay {
		port(
			set,
			&o.MediaPort,
			contract.FlagMediaPort,
			contract.PortMedia,
			0,
			"port of media, UDP and TCP; 0 takes a free one",
		)
		addresses(set, &o.MediaListen, "media-listen", "addresses that media is exchanged on (default all of the pod)")
		advertised(
			set,
			&o.Advertise,
			contract.FlagAdvertise,
			"addresses that players are told for media, IP or IP:port, while the plan does not name the pod's",
		)
		port(
			set,
			&o.AdvertisePort,
			contract.FlagAdvertisePort,
			0,
			0,
			"port that players are told with the pod's or the node's address; 0 means the media port",
		)
		oneOf(
			set,
			&o.AddressFrom,
			contract.FlagAddressFrom,
			contract.AddressFromPod,
			[]string{
				contract.AddressFromPod,
				contract.AddressFromHost,
			},
			"which addresses players are told when nothing else says: pod ($"+contract.EnvPodIP+") or host ($"+
				contract.EnvHostIPs+")",
		)
		set.BoolVar(&o.NoTCP, "no-ice-tcp", false, "media over UDP only")
		share(
			set,
			&o.MaxCPU,
			"max-cpu",
			0.9,
			"share of all cores beyond which new viewers are refused (503, Retry-After); 0 turns it off",
		)
		number(
			set,
			&o.MaxHalfOpen,
			"max-joins-per-address",
			512,
			"viewers of one address that have not connected yet, at most",
		)
	}
	if role == contract.Transcoder {
		set.StringVar(&o.FFmpeg, "ffmpeg", "ffmpeg", "program that transcodes")
		encoderFlag(set, &o.Encoder)
		number(set, &o.MaxSessions, "max-transcodes", 64, "renditions that are made at the same time, at most")
		number(set, &o.Threads, "transcode-threads", 2, "CPU threads of each rendition's encoder, and of its decoder")
		span(set, &o.Idle, "transcode-idle", 30*time.Second, "how long a rendition outlives its last reader")
		share(set, &o.MaxCPU, "max-cpu", 0.9, "share of all cores beyond which new renditions are refused; 0 turns it off")
		span(set, &o.Linger, "linger", 10*time.Second, "how long a source is pulled on after the last rendition of it")
	}
	port(
		set,
		&o.InternalPort,
		contract.FlagInternalPort,
		contract.PortInternal,
		0,
		"port of announcements, over mutual TLS; 0 free",
	)
	port(
		set,
		&o.RTSPPort,
		contract.FlagRTSPPort,
		contract.PortRTSP,
		0,
		"port of RTSP between pods, over mutual TLS; 0 free",
	)
	port(set, &o.AdminPort, contract.FlagAdminPort, contract.PortAdmin, 0, "port of probes, metrics and state; 0 free")
	set.StringVar(&o.PlanDir, "plan-dir", contract.PlanDir, "folder with the plan, as Secrets are mounted")
	set.StringVar(&o.TLSDir, "tls-dir", contract.TLSDir, "folder with tls.crt, tls.key and ca.crt of the pod")
	set.StringVar(
		&o.StateDir,
		"state-dir",
		contract.StateDir,
		"folder for what survives a restart of the container; empty turns it off",
	)
	set.Var(
		list[announce.Peer]{&o.Peers, parsePeer},
		"peers",
		"fixed peers in place of the cluster's, such as ingest=10.0.0.7:9443/9554: role, host, ports of announcements and "+
			"RTSP",
	)
	set.BoolVar(&f.kubernetes, "kubernetes", true, "ask the API server for the plan and the peers")
	set.BoolVar(
		&f.supervised,
		"supervised",
		false,
		"serve in a child process, which is started again at once when it is killed or crashes, unless that was within 10 "+
			"s or for the sixth time in 10 minutes (also with $"+contract.EnvSupervised+"=true)",
	)
	span(set, &o.Hold, "hold", 10*time.Second, "how long a stream waits for its encoder, or for another pod that has it")
	number(
		set,
		&f.drain,
		contract.FlagDrainSeconds,
		contract.DefaultDrainSeconds,
		"how long a drain may take at most after SIGTERM",
	)
	_ = cmd.MarkFlagRequired(contract.FlagClass) // the flag exists
}

// finish turns flags and variables into options.
func (f *podFlags) finish(log logr.Logger) (err error) {
	o := &f.opt
	o.Log = log
	o.AdminProbesOnly = o.AdminProbesOnly || os.Getenv(contract.EnvProbesOnly) == "true"
	o.DrainTime, o.DrainSoft, o.DrainAccept = time.Duration(
		f.drain,
	)*time.Second, time.Duration(
		f.soft,
	)*time.Second, time.Duration(
		f.admit,
	)*time.Second
	if o.Pod == "" {
		o.Pod = os.Getenv(contract.EnvPodName)
	}
	o.Namespace, o.Node = os.Getenv(contract.EnvPodNamespace), os.Getenv(contract.EnvNodeName)
	if text := os.Getenv(contract.EnvPodIP); text != "" {
		if o.PodIP, err = netip.ParseAddr(text); err != nil {
			return fmt.Errorf("$%s: want an IP address, not %q", contract.EnvPodIP, text)
		}
	}
	for text := range strings.SplitSeq(os.Getenv(contract.EnvHostIPs), ",") {
		if a, err := netip.ParseAddr(strings.TrimSpace(text)); err == nil {
			o.HostIPs = append(o.HostIPs, a)
		}
	}
	if !f.kubernetes {
		return nil
	}
	client, err := kube.InCluster(kube.Options{Namespace: o.Namespace, Log: log.WithName("kube")})
	if err != nil {
		return fmt.Errorf("%w; outside of a cluster use --kubernetes=false", err)
	}
	o.Cluster = client
	return nil
}

// parsePeer reads role=host:port/port.
func parsePeer(text string) (announce.Peer, error) {
	role, at, ok := strings.Cut(text, "=")
	internal, rtsp, ok2 := strings.Cut(at, "/")
	addr, err := netip.ParseAddrPort(internal)
	if !ok || !ok2 || err != nil {
		return announce.Peer{}, fmt.Errorf("%q: want role=address:port/port, such as ingest=10.0.0.7:9443/9554", text)
	}
	return announce.Peer{Role: contract.Role(role), Announce: internal, RTSP: addr.Addr().String() + ":" + rtsp}, nil
}
