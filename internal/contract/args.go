package contract

import "strconv"

// Flags of the commands "millrace ingest|relay|edge|transcoder" that the operator sets. The commands have more, for
// other uses.
const (
	FlagClass        = "class"
	FlagRegion       = "region"
	FlagDrainSeconds = "drain-seconds"
	FlagRTMPPort     = "rtmp-port"
	FlagRTMPSPort    = "rtmps-port"
	FlagHTTPPort     = "http-port"
	FlagHTTPSPort    = "https-port"
	FlagMediaPort    = "media-port"
	FlagInternalPort = "internal-port"
	FlagRTSPPort     = "rtsp-port"
	FlagAdminPort    = "admin-port"
	// addresses, IP or IP:port with commas; used while the Plan's addresses do not name the pod
	FlagAdvertise     = "media-advertise"
	FlagAdvertisePort = "media-advertise-port" // that players are told with HOST_IPS or POD_IP; 0: the media port
	// host or pod: which of HOST_IPS and POD_IP players are told when nothing else says
	FlagAddressFrom = "media-address-from"
	// of a transcoder: what encodes, and how many renditions at once
	FlagEncoder       = "encoder"
	FlagMaxTranscodes = "max-transcodes"
)

// CommandFarewell is the command of the second container of a relay's pod.
const CommandFarewell = "farewell"

// Values of FlagAddressFrom.
const (
	AddressFromHost = "host"
	AddressFromPod  = "pod"
)

// Flag writes a flag with a value.
func Flag(name, value string) string { return "--" + name + "=" + value }

// FlagInt writes a flag with a number.
func FlagInt(name string, value int) string { return Flag(name, strconv.Itoa(value)) }
