package v1alpha1

import metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

// PlayType is what a play domain serves.
//
// +kubebuilder:validation:Enum=Standard;RTS
type PlayType string

// The types of a play domain.
const (
	PlayStandard PlayType = "Standard"
	PlayRTS      PlayType = "RTS"
)

// PlayProtocol is a way of standard play.
//
// +kubebuilder:validation:Enum=RTMP;FLV;HLS
type PlayProtocol string

// The protocols of standard play.
const (
	ProtocolRTMP PlayProtocol = "RTMP"
	ProtocolFLV  PlayProtocol = "FLV"
	ProtocolHLS  PlayProtocol = "HLS"
)

// StandardPlay are the settings of a Standard play domain.
type StandardPlay struct {
	// protocols that the domain serves; absent: all.
	// +optional
	// +listType=set
	// +kubebuilder:default={RTMP,FLV,HLS}
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=3
	Protocols []PlayProtocol `json:"protocols,omitempty"`
}

// AutoRepair reports whether viewers get a repaired rendition when they cannot play the source.
//
// +kubebuilder:validation:Enum=Disabled;Enabled
type AutoRepair string

// The values of autoRepair.
const (
	AutoRepairDisabled AutoRepair = "Disabled"
	AutoRepairEnabled  AutoRepair = "Enabled"
)

// RTSPlay are the settings of an RTS play domain.
type RTSPlay struct {
	// autoRepair serves, when Enabled, one shared repaired rendition (H.264 without B-frames, Opus) under the plain URL to
	// players that cannot play the source as it is. When Disabled they are told which template to ask for.
	// +optional
	// +kubebuilder:default=Disabled
	AutoRepair AutoRepair `json:"autoRepair,omitempty"`
	// fallback says what a player gets that asks the domain for /app/stream.flv or .m3u8, as mobile players do by
	// themselves. With Redirect it is sent to the main (307, with its signature) where that is a Standard domain which
	// serves the protocol; with None it is refused.
	// +optional
	// +kubebuilder:default=Redirect
	Fallback Fallback `json:"fallback,omitempty"`
}

// Fallback says what players of other protocols get from an RTS domain.
//
// +kubebuilder:validation:Enum=Redirect;None
type Fallback string

// The values of fallback.
const (
	FallbackRedirect Fallback = "Redirect"
	FallbackNone     Fallback = "None"
)

// Referer is a host of the Referer header: a DNS name, a wildcard such as *.example.com (its subdomains, not itself),
// or the word none for requests without the header.
//
// +kubebuilder:validation:MinLength=1
// +kubebuilder:validation:MaxLength=253
// +kubebuilder:validation:XValidation:rule="self.matches('^([*][.])?([a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?[.])*[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$')",message="must be a lower-case host such as www.example.com or *.example.com, or none"
type Referer string

// AddressRange is an IP address or a range in CIDR notation.
//
// +kubebuilder:validation:MinLength=2
// +kubebuilder:validation:MaxLength=64
// +kubebuilder:validation:XValidation:rule="isIP(self) || isCIDR(self)",message="must be an IP address or a CIDR range, such as 192.0.2.7 or 2001:db8::/32"
type AddressRange string

// Access says who may play.
type Access struct {
	// referers that may embed the streams; absent: all. A request without a Referer is refused when the list is present
	// and does not hold none.
	// +optional
	// +listType=set
	// +kubebuilder:validation:MaxItems=128
	Referers []Referer `json:"referers,omitempty"`

	// ips are the client addresses that may play; absent: all.
	// +optional
	// +listType=set
	// +kubebuilder:validation:MaxItems=256
	IPs []AddressRange `json:"ips,omitempty"`
}

// BillingMode says what the traffic of a domain is metered by.
//
// +kubebuilder:validation:Enum=Traffic;Bandwidth
type BillingMode string

// The billing modes.
const (
	BillingTraffic   BillingMode = "Traffic"
	BillingBandwidth BillingMode = "Bandwidth"
)

// PlayLimits bound what the viewers of one domain may use.
type PlayLimits struct {
	// maxViewers is the number of viewers at once; 0 or absent: no limit of the domain's own.
	// +optional
	// +kubebuilder:validation:Minimum=0
	// +kubebuilder:validation:Maximum=100000000
	MaxViewers int32 `json:"maxViewers,omitempty"`

	// maxEgressMbps is the most that the domain may send in Mbit/s; 0 or absent: no limit of the domain's own.
	// +optional
	// +kubebuilder:validation:Minimum=0
	// +kubebuilder:validation:Maximum=100000000
	MaxEgressMbps int32 `json:"maxEgressMbps,omitempty"`
}

// PlayDomainSpec is what a tenant wants of a play domain.
//
// +kubebuilder:validation:XValidation:rule="self.type == 'Standard' || !has(self.standard)",message="standard is only for type Standard: an RTS domain serves nothing but RTS",fieldPath=".standard",reason=FieldValueForbidden
// +kubebuilder:validation:XValidation:rule="self.type == 'RTS' || !has(self.rts)",message="rts is only for type RTS: a Standard domain serves nothing but RTMP, FLV and HLS",fieldPath=".rts",reason=FieldValueForbidden
type PlayDomainSpec struct {
	// hostname that viewers connect to. It belongs to one object in the cluster and cannot be changed.
	// +required
	// +kubebuilder:validation:XValidation:rule="self == oldSelf",message="hostname is immutable: make a new PlayDomain for another hostname"
	Hostname Hostname `json:"hostname"`

	// type is Standard (RTMP, HTTP-FLV, HLS) or RTS (low latency over WebRTC). It cannot be changed.
	// +required
	// +kubebuilder:validation:XValidation:rule="self == oldSelf",message="type is immutable: make a new PlayDomain with a hostname of its own"
	Type PlayType `json:"type"`

	// className names the MediaClass whose pods serve the domain.
	// +optional
	// +kubebuilder:default=default
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=63
	ClassName string `json:"className,omitempty"`

	// standard are the settings of a Standard domain; absent: the defaults.
	// +optional
	Standard *StandardPlay `json:"standard,omitempty"`

	// rts are the settings of an RTS domain; absent: the defaults.
	// +optional
	RTS *RTSPlay `json:"rts,omitempty"`

	// auth is the signing of play URLs.
	// +optional
	// +kubebuilder:default={type: None}
	Auth Auth `json:"auth,omitzero"`

	// access says who may play.
	// +optional
	Access Access `json:"access,omitzero"`

	// tls is the certificate for HTTPS, which browsers ask for on pages that are not on localhost.
	// +optional
	TLS *DomainTLS `json:"tls,omitempty"`

	// billingMode is Traffic (when absent) or Bandwidth. It applies to a main and all its subs; on a sub it is void.
	// Nothing acts on it yet: the condition Served says so.
	// +optional
	BillingMode BillingMode `json:"billingMode,omitempty"`

	// limits bound what the viewers of this domain may use.
	// +optional
	Limits PlayLimits `json:"limits,omitzero"`

	// state is Online, or Offline to refuse and end all playing without deleting the domain.
	// +optional
	// +kubebuilder:default=Online
	State State `json:"state,omitempty"`
}

// PlayRole is a play domain's place in its associations.
//
// +kubebuilder:validation:Enum=Main;Sub;Unassociated
type PlayRole string

// The roles of a play domain.
const (
	RoleMain         PlayRole = "Main"
	RoleSub          PlayRole = "Sub"
	RoleUnassociated PlayRole = "Unassociated"
)

// PlayDomainStatus is what the operator knows of a play domain.
type PlayDomainStatus struct {
	// observedGeneration is the generation of the spec that the status speaks of; -1 before the first look.
	// +optional
	// +kubebuilder:default=-1
	ObservedGeneration int64 `json:"observedGeneration,omitempty"`

	// conditions: Accepted, ResolvedRefs, Programmed, Ready; Reconciling and Stalled only while true, Served only
	// while false.
	// +optional
	// +listType=map
	// +listMapKey=type
	// +kubebuilder:validation:MaxItems=8
	Conditions []metav1.Condition `json:"conditions,omitempty"`

	// role is Main (has push domains or subs), Sub, or Unassociated.
	// +optional
	Role PlayRole `json:"role,omitempty"`

	// main is the hostname of the main play domain of a Sub.
	// +optional
	// +kubebuilder:validation:MaxLength=253
	Main string `json:"main,omitempty"`

	// ignoredFields are the fields of spec that are void because the domain is a sub and inherits them from its main.
	// +optional
	// +listType=set
	// +kubebuilder:validation:MaxItems=16
	// +kubebuilder:validation:items:MaxLength=128
	IgnoredFields []string `json:"ignoredFields,omitempty"`

	// endpoints that viewers may connect to.
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=32
	Endpoints []Endpoint `json:"endpoints,omitempty"`

	// viewers that play now.
	// +optional
	// +kubebuilder:validation:Minimum=0
	Viewers int32 `json:"viewers"`

	// egressMbps that the domain sends now, in Mbit/s, rounded.
	// +optional
	// +kubebuilder:validation:Minimum=0
	EgressMbps int32 `json:"egressMbps,omitempty"`

	// playURLs are templates of the URLs to play, to be copied.
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=16
	// +kubebuilder:validation:items:MaxLength=512
	PlayURLs []string `json:"playURLs,omitempty"`
}

// PlayDomain is a hostname that viewers play streams from.
//
// +kubebuilder:object:root=true
// +kubebuilder:subresource:status
// +kubebuilder:resource:shortName=playdom,categories=millrace
// +kubebuilder:selectablefield:JSONPath=`.spec.hostname`
// +kubebuilder:printcolumn:name="Hostname",type=string,JSONPath=`.spec.hostname`
// +kubebuilder:printcolumn:name="Type",type=string,JSONPath=`.spec.type`
// +kubebuilder:printcolumn:name="Role",type=string,JSONPath=`.status.role`
// +kubebuilder:printcolumn:name="Viewers",type=integer,JSONPath=`.status.viewers`
// +kubebuilder:printcolumn:name="Ready",type=string,JSONPath=`.status.conditions[?(@.type=="Ready")].status`
// +kubebuilder:printcolumn:name="Reason",type=string,JSONPath=`.status.conditions[?(@.type=="Ready")].reason`
// +kubebuilder:printcolumn:name="Age",type=date,JSONPath=`.metadata.creationTimestamp`
// +kubebuilder:printcolumn:name="Main",type=string,priority=1,JSONPath=`.status.main`
// +kubebuilder:printcolumn:name="Class",type=string,priority=1,JSONPath=`.spec.className`
// +kubebuilder:printcolumn:name="State",type=string,priority=1,JSONPath=`.spec.state`
type PlayDomain struct {
	metav1.TypeMeta `json:",inline"`
	// metadata of the object.
	// +optional
	metav1.ObjectMeta `json:"metadata,omitempty"`

	// spec is what you want.
	// +required
	Spec PlayDomainSpec `json:"spec"`

	// status is what is there.
	// +optional
	// +kubebuilder:default:={"observedGeneration":-1}
	Status PlayDomainStatus `json:"status,omitzero"`
}

// PlayDomainList is a list of PlayDomains.
//
// +kubebuilder:object:root=true
type PlayDomainList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitempty"`
	Items           []PlayDomain `json:"items"`
}
