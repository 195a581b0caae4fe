package cli

import (
	"fmt"
	"net/netip"
	"time"

	"github.com/go-logr/logr"
	"github.com/spf13/cobra"

	"github.com/millrace/millrace/dataplane/standalone"
	"github.com/millrace/millrace/dataplane/transcode"
)

// NewStandaloneCommand returns "millrace standalone -f DIR": every role of the data plane in one process.
func NewStandaloneCommand() *cobra.Command {
	opt := standalone.Options{}
	var listen, advertise []string
	var encoder string
	cmd := &cobra.Command{
		Use:   "standalone -f DIR",
		Short: "Serve the manifests of a folder in this process",
		Long: "Serves push and play domains from manifests without Kubernetes: RTMP in, RTS (WebRTC) out. The files are " +
			"watched; a change is " +
			"applied as a difference, and disconnects only those who lost a right. A broken file keeps the last good state.",
		Example: "  millrace standalone -f examples/quickstart\n" +
			"  millrace standalone -f domains/ --self-signed --advertise 203.0.113.7\n" +
			"  millrace standalone -f domains/ --rtmp-port 0 --http-port 0 --media-port 0",
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			opt.Log = logr.FromContextOrDiscard(cmd.Context())
			opt.Out = cmd.OutOrStdout()
			opt.Encoder = transcode.Encoder(encoder)
			for _, text := range listen {
				ip, err := netip.ParseAddr(text)
				if err != nil {
					return fmt.Errorf("--media-listen %s: want an IP address", text)
				}
				opt.MediaListen = append(opt.MediaListen, ip)
			}
			for _, text := range advertise {
				at, err := parseAdvertise(text)
				if err != nil {
					return err
				}
				opt.Advertise = append(opt.Advertise, at)
			}
			if opt.MediaPort < 0 || opt.MediaPort > 65535 {
				return fmt.Errorf("--media-port %d: want 0 to 65535", opt.MediaPort)
			}
			return standalone.Run(cmd.Context(), opt)
		},
	}
	f := cmd.Flags()
	f.StringSliceVarP(&opt.Manifests, "filename", "f", nil, "files and folders of manifests (required)")
	f.StringVar(&opt.Address, "address", "", "address on which RTMP and HTTP listen (default all)")
	f.IntVar(&opt.RTMPPort, "rtmp-port", standalone.DefaultRTMPPort, "port of RTMP; 0 takes a free one, -1 turns it off")
	f.IntVar(
		&opt.RTMPSPort,
		"rtmps-port",
		standalone.DefaultRTMPSPort,
		"port of RTMPS, when there is a certificate; 0 free, -1 off",
	)
	f.IntVar(&opt.HTTPPort, "http-port", standalone.DefaultHTTPPort, "port of HTTP; 0 free, -1 off")
	f.IntVar(
		&opt.HTTPSPort,
		"https-port",
		standalone.DefaultHTTPSPort,
		"port of HTTPS, when there is a certificate; 0 free, -1 off",
	)
	f.IntVar(&opt.MediaPort, "media-port", standalone.DefaultMediaPort, "port of media, UDP and TCP; 0 takes a free one")
	f.StringVar(
		&opt.AdminAddr,
		"admin",
		"127.0.0.1:9090",
		"host:port of /metrics, /healthz and /state; empty turns it off",
	)
	f.StringVar(
		&opt.RTSPAddr,
		"rtsp",
		"",
		"host:port on which RTSP tools can look at every stream, such as 127.0.0.1:8554 (default off)",
	)
	f.BoolVar(
		&opt.SelfSigned,
		"self-signed",
		false,
		"serve HTTPS and RTMPS with self-signed certificates for domains that have none",
	)
	f.StringVar(&opt.CertFile, "tls-cert", "", "PEM file with the certificate of domains that have none of their own")
	f.StringVar(&opt.KeyFile, "tls-key", "", "PEM file with its key")
	f.StringSliceVar(&listen, "media-listen", nil, "addresses that media is exchanged on (default all of the machine)")
	f.StringSliceVar(
		&advertise,
		"advertise",
		nil,
		"addresses that players are told for media, IP or IP:port, such as a public one behind NAT",
	)
	f.BoolVar(&opt.NoTCP, "no-ice-tcp", false, "media over UDP only")
	f.IntVar(&opt.MaxViewers, "max-viewers", 20_000, "viewers of this process at most")
	f.Float64Var(
		&opt.MaxCPU,
		"max-cpu",
		0.9,
		"share of all cores beyond which new viewers and renditions are refused (503, Retry-After); 0 turns it off",
	)
	f.Float64Var(
		&opt.MaxEgress,
		"max-egress-mbps",
		0,
		"Mbit/s to viewers beyond which new ones are refused; 0 means no limit",
	)
	f.IntVar(&opt.MaxHalfOpen, "max-joins-per-address", 512, "viewers of one address that have not connected yet, at most")
	f.StringVar(&opt.FFmpeg, "ffmpeg", "ffmpeg", "program that transcodes, for transcode templates and autoRepair")
	f.StringVar(
		&encoder,
		"encoder",
		string(transcode.Auto),
		"of H.264: Auto (the first that works), x264, NVENC, VAAPI or QSV",
	)
	f.IntVar(&opt.MaxTranscodes, "max-transcodes", 64, "renditions that are made at the same time, at most")
	f.IntVar(&opt.TranscodeThreads, "transcode-threads", 2, "CPU threads of each rendition's encoder, and of its decoder")
	f.DurationVar(&opt.TranscodeIdle, "transcode-idle", 30*time.Second, "how long a rendition outlives its last viewer")
	f.DurationVar(
		&opt.Hold,
		"hold",
		10*time.Second,
		"how long viewers of a stream wait when its encoder's connection broke",
	)
	f.DurationVar(&opt.DrainTime, "drain-time", 10*time.Second, "how long the end may take after SIGTERM")
	_ = cmd.MarkFlagRequired("filename") // the flag exists
	cmd.MarkFlagsRequiredTogether("tls-cert", "tls-key")
	return cmd
}

// parseAdvertise reads an IP address with or without a port; without it is 0, which means the media port.
func parseAdvertise(text string) (netip.AddrPort, error) {
	if ip, err := netip.ParseAddr(text); err == nil {
		return netip.AddrPortFrom(ip, 0), nil
	}
	at, err := netip.ParseAddrPort(text)
	if err != nil {
		return netip.AddrPort{}, fmt.Errorf("--advertise %s: want an IP address, or IP:port", text)
	}
	return at, nil
}
