package cli

import (
	"time"

	"github.com/go-logr/logr"
	"github.com/spf13/cobra"

	"github.com/millrace/millrace/dataplane/standalone"
)

// NewStandaloneCommand returns "millrace standalone -f DIR": every role of the data plane in one process.
func NewStandaloneCommand() *cobra.Command {
	opt := standalone.Options{}
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
			return standalone.Run(cmd.Context(), opt)
		},
	}
	f := cmd.Flags()
	f.StringSliceVarP(&opt.Manifests, "filename", "f", nil, "files and folders of manifests (required)")
	f.StringVar(&opt.Address, "address", "", "address on which RTMP and HTTP listen (default all)")
	port(
		f,
		&opt.RTMPPort,
		"rtmp-port",
		standalone.DefaultRTMPPort,
		-1,
		"port of RTMP; 0 takes a free one, -1 turns it off",
	)
	port(
		f,
		&opt.RTMPSPort,
		"rtmps-port",
		standalone.DefaultRTMPSPort,
		-1,
		"port of RTMPS, when there is a certificate; 0 free, -1 off",
	)
	port(f, &opt.HTTPPort, "http-port", standalone.DefaultHTTPPort, -1, "port of HTTP; 0 free, -1 off")
	port(
		f,
		&opt.HTTPSPort,
		"https-port",
		standalone.DefaultHTTPSPort,
		-1,
		"port of HTTPS, when there is a certificate; 0 free, -1 off",
	)
	port(f, &opt.MediaPort, "media-port", standalone.DefaultMediaPort, 0, "port of media, UDP and TCP; 0 takes a free one")
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
	addresses(f, &opt.MediaListen, "media-listen", "addresses that media is exchanged on (default all of the machine)")
	advertised(
		f,
		&opt.Advertise,
		"advertise",
		"addresses that players are told for media, IP or IP:port, such as a public one behind NAT",
	)
	f.BoolVar(&opt.NoTCP, "no-ice-tcp", false, "media over UDP only")
	number(f, &opt.MaxViewers, "max-viewers", 20_000, "viewers of this process at most")
	share(
		f,
		&opt.MaxCPU,
		"max-cpu",
		0.9,
		"share of all cores beyond which new viewers and renditions are refused (503, Retry-After); 0 turns it off",
	)
	rate(f, &opt.MaxEgress, "max-egress-mbps", 0, "Mbit/s to viewers beyond which new ones are refused; 0 means no limit")
	number(f, &opt.MaxHalfOpen, "max-joins-per-address", 512,
		"viewers of one address that have not connected yet, at most")
	f.StringVar(&opt.FFmpeg, "ffmpeg", "ffmpeg", "program that transcodes, for transcode templates and autoRepair")
	encoderFlag(f, &opt.Encoder)
	number(f, &opt.MaxTranscodes, "max-transcodes", 64, "renditions that are made at the same time, at most")
	number(f, &opt.TranscodeThreads, "transcode-threads", 2, "CPU threads of each rendition's encoder, and of its decoder")
	span(f, &opt.TranscodeIdle, "transcode-idle", 30*time.Second, "how long a rendition outlives its last viewer")
	span(f, &opt.Hold, "hold", 10*time.Second, "how long viewers of a stream wait when its encoder's connection broke")
	span(f, &opt.DrainTime, "drain-time", 10*time.Second, "how long the end may take after SIGTERM")
	_ = cmd.MarkFlagRequired("filename") // the flag exists
	cmd.MarkFlagsRequiredTogether("tls-cert", "tls-key")
	return cmd
}
