// Package contract names what the operator, which renders pods, and the pods themselves agree on: names, labels, ports,
// paths, variables. It holds constants and pure functions only.
package contract

import (
	"fmt"
	"strconv"
)

// Role is what a pod does.
type Role string

// The roles. Recorders are named here and come alive later.
const (
	Ingest     Role = "ingest"
	Relay      Role = "relay"
	Edge       Role = "edge"
	Transcoder Role = "transcoder"
	Recorder   Role = "recorder"
)

// Roles lists all roles in the order in which media passes them.
func Roles() []Role { return []Role{Ingest, Transcoder, Relay, Edge, Recorder} }

// Announces reports whether pods of the role have streams of their own that others pull.
func (r Role) Announces() bool { return r == Ingest || r == Transcoder }

// The namespaces in which the operator and the media pods run, unless flags say otherwise.
const (
	OperatorNamespace = "millrace-system"
	MediaNamespace    = "millrace-media"
)

// Labels of everything that the operator renders. The endpointslice controller copies those of a Service onto its
// EndpointSlices: that is how pods find each other.
const (
	LabelName      = "app.kubernetes.io/name"
	LabelManagedBy = "app.kubernetes.io/managed-by"
	LabelClass     = "live.millrace.dev/class"
	LabelRole      = "live.millrace.dev/role"
	LabelRegion    = "live.millrace.dev/region"

	Name      = "millrace"
	ManagedBy = "millrace-operator"
)

// AnnotationPublicEndpoints is set on a pod by network plugins: the addresses, ip:port with commas, at which it is
// reached for media.
const AnnotationPublicEndpoints = "live.millrace.dev/public-endpoints"

// Labels are the labels of a pool.
func Labels(class, region string, role Role) map[string]string {
	return map[string]string{
		LabelName: Name, LabelManagedBy: ManagedBy, LabelClass: class, LabelRole: string(role), LabelRegion: region,
	}
}

// Ports of a container. PortMedia is UDP and TCP.
const (
	PortRTMP     = 1935
	PortRTMPS    = 1936
	PortHTTP     = 8080
	PortHTTPS    = 8443
	PortMedia    = 8000
	PortInternal = 9443 // announcements, HTTP over mutual TLS
	PortRTSP     = 9554 // streams, RTSP over mutual TLS
	PortAdmin    = 9090 // probes, metrics, state; plain HTTP, never exposed
)

// Names of the ports, in containers, Services and EndpointSlices.
const (
	NameRTMP     = "rtmp"
	NameRTMPS    = "rtmps"
	NameHTTP     = "http"
	NameHTTPS    = "https"
	NameMediaUDP = "media-udp"
	NameMediaTCP = "media-tcp"
	NameInternal = "internal"
	NameRTSP     = "rtsp"
	NameAdmin    = "admin"
)

// Paths of the admin port.
const (
	PathLive    = "/livez"
	PathReady   = "/readyz"
	PathStartup = "/startupz"
	PathMetrics = "/metrics"
	PathState   = "/state"
)

// PathAnnounce is the path of the announcements on PortInternal.
const PathAnnounce = "/v1/announce"

// Folders of a container.
const (
	// one projected volume: a folder per chunk, named by its number, with the keys of its Secret as files
	PlanDir  = "/etc/millrace/plan"
	TLSDir   = "/etc/millrace/tls" // tls.crt, tls.key and ca.crt, which may hold several certificates
	StateDir = "/var/lib/millrace" // the last good Plan and the last known peers outlive a restart of the container
)

// Variables of a container, from the downward API.
const (
	EnvPodName      = "POD_NAME"
	EnvPodNamespace = "POD_NAMESPACE"
	EnvPodUID       = "POD_UID"
	EnvPodIP        = "POD_IP"
	EnvNodeName     = "NODE_NAME"
	EnvHostIPs      = "HOST_IPS"                   // status.hostIPs: addresses with commas
	EnvProbesOnly   = "MILLRACE_ADMIN_PROBES_ONLY" // true: the admin port serves probes alone to other machines
	EnvSupervised   = "MILLRACE_SUPERVISED"        // true: a parent process starts the one that serves again
)

// Drain times in seconds: how long a drain may take at most, and what the kubelet adds before it kills.
const (
	DefaultDrainSeconds = 540
	KillAfterDrain      = 30
)

// PlanChunks is the number of Secrets that a Plan is delivered in. All exist always, so that a Role and a volume can
// name them.
const PlanChunks = 8

// PoolName is the name of a pool's Deployment, ServiceAccount, Role, RoleBinding and public Service.
func PoolName(class string, role Role) string { return class + "-" + string(role) }

// PodsServiceName is the name of a pool's headless Service.
func PodsServiceName(class string, role Role) string { return PoolName(class, role) + "-pods" }

// PlanSecretName is the name of the Secret that holds chunk n of a pool's Plan.
func PlanSecretName(class string, role Role, n int) string {
	return fmt.Sprintf("plan-%s-%s-%d", class, role, n)
}

// PlanSecretNames lists the names of all chunks.
func PlanSecretNames(class string, role Role) []string {
	names := make([]string, PlanChunks)
	for n := range names {
		names[n] = PlanSecretName(class, role, n)
	}
	return names
}

// TLSSecretName is the name of the Secret with a pool's certificate.
func TLSSecretName(class string, role Role) string { return "tls-" + PoolName(class, role) }

// PlanPath is where key of chunk n stands below PlanDir.
func PlanPath(n int, key string) string { return strconv.Itoa(n) + "/" + key }
