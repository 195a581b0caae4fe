package v1alpha1

import metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

// SourcePolicy says what to do with a source that has a property which browsers cannot play.
//
// +kubebuilder:validation:Enum=Reject;Warn;Allow
type SourcePolicy string

// The policies for a source.
const (
	SourceReject SourcePolicy = "Reject"
	SourceWarn   SourcePolicy = "Warn"
	SourceAllow  SourcePolicy = "Allow"
)

// Source holds the policies for what publishers send.
type Source struct {
	// bFrames says what to do with a source that has B-frames: Reject closes the publish with a reason, Warn shows it in
	// status, Allow is silent. RTS viewers of such a source see a jumping picture.
	// +optional
	// +kubebuilder:default=Warn
	BFrames SourcePolicy `json:"bFrames,omitempty"`

	// h265 says what to do with an H.265 source, which most browsers cannot play over RTS.
	// +optional
	// +kubebuilder:default=Warn
	H265 SourcePolicy `json:"h265,omitempty"`

	// maxGOPMilliseconds is the longest distance of key frames before status warns. A longer GOP makes joins slower.
	// +optional
	// +kubebuilder:default=3000
	// +kubebuilder:validation:Minimum=100
	// +kubebuilder:validation:Maximum=60000
	MaxGOPMilliseconds int32 `json:"maxGOPMilliseconds,omitempty"`
}

// DuplicatePublish says what happens to a second publisher of a live stream.
//
// +kubebuilder:validation:Enum=RejectNew;ReplaceOld
type DuplicatePublish string

// The ways to treat a second publisher.
const (
	RejectNew  DuplicatePublish = "RejectNew"
	ReplaceOld DuplicatePublish = "ReplaceOld"
)

// PushLimits bound what the publishers of one domain may use.
type PushLimits struct {
	// maxStreams is the number of streams that may be live at once; 0 or absent: no limit of the domain's own.
	// +optional
	// +kubebuilder:validation:Minimum=0
	// +kubebuilder:validation:Maximum=100000
	MaxStreams int32 `json:"maxStreams,omitempty"`

	// maxBitrateKbps is the highest bit rate of one stream in kbit/s, mean over 5 s; 0 or absent: no limit of the domain's
	// own.
	// +optional
	// +kubebuilder:validation:Minimum=0
	// +kubebuilder:validation:Maximum=1000000
	MaxBitrateKbps int32 `json:"maxBitrateKbps,omitempty"`
}

// Notify is a callback at the start and the end of each publish.
type Notify struct {
	// url receives an HTTP request when a publish begins and when it ends.
	// +required
	// +kubebuilder:validation:MinLength=10
	// +kubebuilder:validation:MaxLength=1024
	// +kubebuilder:validation:XValidation:rule="isURL(self) && url(self).getScheme() in ['http', 'https'] && url(self).getHostname() != ''",message="must be an http:// or https:// URL with a host, such as https://api.example.com/live"
	URL string `json:"url"`

	// authKeySecretRef names a Secret in the same namespace whose key authKey (16 to 64 letters and digits) signs the
	// requests.
	// +optional
	AuthKeySecretRef *SecretReference `json:"authKeySecretRef,omitempty"`
}

// PushDomainSpec is what a tenant wants of a push domain.
type PushDomainSpec struct {
	// hostname that publishers connect to. It belongs to one object in the cluster and cannot be changed.
	// +required
	// +kubebuilder:validation:XValidation:rule="self == oldSelf",message="hostname is immutable: make a new PushDomain for another hostname"
	Hostname Hostname `json:"hostname"`

	// className names the MediaClass whose pods serve the domain.
	// +optional
	// +kubebuilder:default=default
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=63
	ClassName string `json:"className,omitempty"`

	// auth is the signing of publish URLs. Without it anybody who knows the hostname can publish.
	// +optional
	// +kubebuilder:default={type: None}
	Auth Auth `json:"auth,omitzero"`

	// source holds the policies for what publishers send.
	// +optional
	// +kubebuilder:default={}
	Source Source `json:"source,omitzero"`

	// duplicatePublish says what happens to a second publisher of a live stream: RejectNew refuses it, ReplaceOld ends the
	// first.
	// +optional
	// +kubebuilder:default=RejectNew
	DuplicatePublish DuplicatePublish `json:"duplicatePublish,omitempty"`

	// limits bound what the publishers of this domain may use.
	// +optional
	Limits PushLimits `json:"limits,omitzero"`

	// tls is the certificate for RTMPS.
	// +optional
	TLS *DomainTLS `json:"tls,omitempty"`

	// notify is a callback at the start and the end of each publish. Nothing acts on it yet: the condition Served says so.
	// +optional
	Notify *Notify `json:"notify,omitempty"`

	// state is Online, or Offline to refuse and end all publishing without deleting the domain.
	// +optional
	// +kubebuilder:default=Online
	State State `json:"state,omitempty"`
}

// StreamCounts counts streams.
type StreamCounts struct {
	// live is the number of streams being published now.
	// +optional
	// +kubebuilder:validation:Minimum=0
	Live int32 `json:"live"`
}

// PushDomainStatus is what the operator knows of a push domain.
type PushDomainStatus struct {
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

	// mainPlayDomain is the hostname of the main play domain that this domain feeds.
	// +optional
	// +kubebuilder:validation:MaxLength=253
	MainPlayDomain string `json:"mainPlayDomain,omitempty"`

	// endpoints that publishers may connect to.
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=32
	Endpoints []Endpoint `json:"endpoints,omitempty"`

	// streams counts the streams of the domain.
	// +optional
	Streams StreamCounts `json:"streams,omitzero"`
}

// PushDomain is a hostname that publishers send streams to.
//
// +kubebuilder:object:root=true
// +kubebuilder:subresource:status
// +kubebuilder:resource:shortName=pushdom,categories=millrace
// +kubebuilder:selectablefield:JSONPath=`.spec.hostname`
// +kubebuilder:printcolumn:name="Hostname",type=string,JSONPath=`.spec.hostname`
// +kubebuilder:printcolumn:name="Main",type=string,JSONPath=`.status.mainPlayDomain`
// +kubebuilder:printcolumn:name="Streams",type=integer,JSONPath=`.status.streams.live`
// +kubebuilder:printcolumn:name="Ready",type=string,JSONPath=`.status.conditions[?(@.type=="Ready")].status`
// +kubebuilder:printcolumn:name="Reason",type=string,JSONPath=`.status.conditions[?(@.type=="Ready")].reason`
// +kubebuilder:printcolumn:name="Age",type=date,JSONPath=`.metadata.creationTimestamp`
// +kubebuilder:printcolumn:name="Class",type=string,priority=1,JSONPath=`.spec.className`
// +kubebuilder:printcolumn:name="State",type=string,priority=1,JSONPath=`.spec.state`
type PushDomain struct {
	metav1.TypeMeta `json:",inline"`
	// metadata of the object.
	// +optional
	metav1.ObjectMeta `json:"metadata,omitempty"`

	// spec is what you want.
	// +required
	Spec PushDomainSpec `json:"spec"`

	// status is what is there.
	// +optional
	// +kubebuilder:default:={"observedGeneration":-1}
	Status PushDomainStatus `json:"status,omitzero"`
}

// PushDomainList is a list of PushDomains.
//
// +kubebuilder:object:root=true
type PushDomainList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitempty"`
	Items           []PushDomain `json:"items"`
}
