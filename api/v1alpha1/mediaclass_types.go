package v1alpha1

import (
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// DefaultClassName is the MediaClass of a domain that names none.
const DefaultClassName = "default"

// AnnotationAllowedSuffixes, on a Namespace, lists the DNS suffixes (comma-separated) whose hostnames the namespace may
// take when the class says claims: SameSuffix.
const AnnotationAllowedSuffixes = "live.millrace.dev/allowed-suffixes"

// Autoscaling lets the number of pods follow the load.
//
// +kubebuilder:validation:XValidation:rule="self.maxReplicas >= self.minReplicas",message="maxReplicas must not be less than minReplicas",fieldPath=".maxReplicas"
type Autoscaling struct {
	// minReplicas is the least number of pods.
	// +optional
	// +kubebuilder:default=1
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=1000
	MinReplicas int32 `json:"minReplicas,omitempty"`

	// maxReplicas is the greatest number of pods.
	// +required
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=1000
	MaxReplicas int32 `json:"maxReplicas"`

	// targetCPUPercent of the requested CPU that the pods are kept at.
	// +optional
	// +kubebuilder:default=60
	// +kubebuilder:validation:Minimum=10
	// +kubebuilder:validation:Maximum=95
	TargetCPUPercent int32 `json:"targetCPUPercent,omitempty"`
}

// ExposureType says how clients outside the cluster reach the pods of a pool.
//
// +kubebuilder:validation:Enum=HostPort;HostNetwork;NodePort;LoadBalancer;ClusterIP
type ExposureType string

// The ways of exposure.
const (
	ExposeHostPort     ExposureType = "HostPort"
	ExposeHostNetwork  ExposureType = "HostNetwork"
	ExposeNodePort     ExposureType = "NodePort"
	ExposeLoadBalancer ExposureType = "LoadBalancer"
	ExposeClusterIP    ExposureType = "ClusterIP"
)

// Port is a port number.
//
// +kubebuilder:validation:Minimum=1
// +kubebuilder:validation:Maximum=65535
type Port int32

// Ports that a pool listens on. Absent ones have the default of the role.
type Ports struct {
	// rtmp is the TCP port of RTMP (default 1935).
	// +optional
	RTMP Port `json:"rtmp,omitempty"`

	// rtmps is the TCP port of RTMPS (default 1936).
	// +optional
	RTMPS Port `json:"rtmps,omitempty"`

	// http is the TCP port of HTTP (default 8080).
	// +optional
	HTTP Port `json:"http,omitempty"`

	// https is the TCP port of HTTPS (default 8443).
	// +optional
	HTTPS Port `json:"https,omitempty"`

	// media is the one UDP port, and the TCP port of the same number, of all RTS viewers (default 8000).
	// +optional
	Media Port `json:"media,omitempty"`
}

// AdminScope is what the admin port of a pod serves to other machines.
//
// +kubebuilder:validation:Enum=Probes;All
type AdminScope string

// The scopes of the admin port.
const (
	AdminProbes AdminScope = "Probes"
	AdminAll    AdminScope = "All"
)

// Exposure says how clients outside the cluster reach the pods of a pool.
type Exposure struct {
	// type is HostPort, HostNetwork, NodePort (a Service per pod), LoadBalancer (a Service per pod) or ClusterIP.
	// +optional
	// +kubebuilder:default=HostPort
	Type ExposureType `json:"type,omitempty"`

	// ports that the pool listens on.
	// +optional
	Ports Ports `json:"ports,omitzero"`

	// admin says what the admin port of the pods (9090; under HostNetwork a port of the node) serves to other machines:
	// Probes, or All, with metrics and state. Absent: Probes under HostNetwork, where whoever reaches the node reaches the
	// port, and All otherwise, where the NetworkPolicy of the pool closes it.
	// +optional
	Admin AdminScope `json:"admin,omitempty"`

	// advertise lists addresses that relays tell clients instead of those that are found out: IP addresses, with a port
	// where it differs from the media port. Other pools tell none; the condition Served says so.
	// +optional
	// +listType=set
	// +kubebuilder:validation:MaxItems=16
	// +kubebuilder:validation:items:MinLength=1
	// +kubebuilder:validation:items:MaxLength=253
	Advertise []string `json:"advertise,omitempty"`
}

// Pool is a set of equal pods of one role.
//
// +kubebuilder:validation:XValidation:rule="!has(self.replicas) || !has(self.autoscaling)",message="give replicas or autoscaling, not both",fieldPath=".autoscaling"
type Pool struct {
	// replicas is the number of pods; absent, and without autoscaling: 1.
	// +optional
	// +kubebuilder:validation:Minimum=0
	// +kubebuilder:validation:Maximum=1000
	Replicas *int32 `json:"replicas,omitempty"`

	// autoscaling lets the number of pods follow the load, in place of replicas.
	// +optional
	Autoscaling *Autoscaling `json:"autoscaling,omitempty"`

	// resources of each pod.
	// +optional
	Resources corev1.ResourceRequirements `json:"resources,omitzero"`

	// nodeSelector that nodes must match.
	// +optional
	// +kubebuilder:validation:MaxProperties=32
	NodeSelector map[string]string `json:"nodeSelector,omitempty"`

	// tolerations of the pods.
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=32
	Tolerations []corev1.Toleration `json:"tolerations,omitempty"`

	// exposure says how clients outside the cluster reach the pods.
	// +optional
	// +kubebuilder:default={}
	Exposure Exposure `json:"exposure,omitzero"`

	// drainSeconds is how long a pod may take to hand over its clients before it ends.
	// +optional
	// +kubebuilder:default=540
	// +kubebuilder:validation:Minimum=0
	// +kubebuilder:validation:Maximum=540
	DrainSeconds *int32 `json:"drainSeconds,omitempty"`

	// image of the pods; absent: the image of the class.
	// +optional
	// +kubebuilder:validation:MaxLength=512
	Image string `json:"image,omitempty"`
}

// Encoder of a transcoder.
//
// +kubebuilder:validation:Enum=Auto;x264;NVENC;VAAPI;QSV
type Encoder string

// The encoders.
const (
	EncoderAuto  Encoder = "Auto"
	EncoderX264  Encoder = "x264"
	EncoderNVENC Encoder = "NVENC"
	EncoderVAAPI Encoder = "VAAPI"
	EncoderQSV   Encoder = "QSV"
)

// TranscoderPool is the pool of transcoders.
type TranscoderPool struct {
	Pool `json:",inline"`

	// encoder is Auto (the first that works on the node), x264 (CPU), NVENC, VAAPI or QSV.
	// +optional
	// +kubebuilder:default=Auto
	Encoder Encoder `json:"encoder,omitempty"`

	// maxSessions is the number of renditions that one pod makes at once; absent: by its CPU limit.
	// +optional
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=1000
	MaxSessions int32 `json:"maxSessions,omitempty"`
}

// Pools of a class, one for each role. A pool has no pods until an accepted object of the class needs them.
type Pools struct {
	// ingest accepts publishers.
	// +optional
	// +kubebuilder:default={}
	Ingest Pool `json:"ingest,omitzero"`

	// relay serves RTS viewers.
	// +optional
	// +kubebuilder:default={}
	Relay Pool `json:"relay,omitzero"`

	// edge serves RTMP, HTTP-FLV and HLS viewers.
	// +optional
	// +kubebuilder:default={}
	Edge Pool `json:"edge,omitzero"`

	// transcoder makes renditions.
	// +optional
	// +kubebuilder:default={}
	Transcoder TranscoderPool `json:"transcoder,omitzero"`

	// recorder writes streams to object storage. Nothing acts on it yet: the condition Served says so.
	// +optional
	// +kubebuilder:default={}
	Recorder Pool `json:"recorder,omitzero"`
}

// RTSGrant says who may have RTS play domains.
type RTSGrant struct {
	// namespaceSelector chooses the namespaces that are granted RTS. {} grants it to all.
	// +required
	NamespaceSelector metav1.LabelSelector `json:"namespaceSelector"`
}

// ClaimPolicy says who may take a hostname that has no DomainClaim yet.
//
// +kubebuilder:validation:Enum=Always;SameSuffix;Never
type ClaimPolicy string

// The policies for new hostnames.
const (
	ClaimsAlways     ClaimPolicy = "Always"
	ClaimsSameSuffix ClaimPolicy = "SameSuffix"
	ClaimsNever      ClaimPolicy = "Never"
)

// MediaClassSpec is what a platform offers.
type MediaClassSpec struct {
	// region that the pods run in. Both ends of an association have the same region.
	// +optional
	// +kubebuilder:default=default
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=63
	Region string `json:"region,omitempty"`

	// image of all pods of the class; absent: the one that the operator brings when it first sees the class, kept in
	// status.image. So a new operator restarts no media pod.
	// +optional
	// +kubebuilder:validation:MaxLength=512
	Image string `json:"image,omitempty"`

	// pools of pods, one for each role.
	// +optional
	// +kubebuilder:default={}
	Pools Pools `json:"pools,omitzero"`

	// namespaceSelector chooses the namespaces that the class serves; absent or {}: all. A domain of another namespace is
	// not accepted. A tenant may name any class that serves its namespace, and so choose among their policies.
	// +optional
	NamespaceSelector *metav1.LabelSelector `json:"namespaceSelector,omitempty"`

	// rts says which namespaces are granted RTS; absent: none.
	// +optional
	RTS *RTSGrant `json:"rts,omitempty"`

	// claims says who may take a hostname that has no DomainClaim yet: Always (first come, first served), SameSuffix
	// (hostnames below a suffix in the namespace's annotation live.millrace.dev/allowed-suffixes), or Never (an admin
	// makes the claims).
	// +optional
	// +kubebuilder:default=Always
	Claims ClaimPolicy `json:"claims,omitempty"`
}

// PodAddress is where a pod is reached for media.
type PodAddress struct {
	// pod by its name.
	// +required
	// +kubebuilder:validation:MaxLength=253
	Pod string `json:"pod"`

	// addresses that players are told, as IP:port.
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=16
	// +kubebuilder:validation:items:MaxLength=64
	Addresses []string `json:"addresses,omitempty"`

	// rule that chose them: Advertise, PodAnnotation, PodService, NodeExternalIP, NodeInternalIP or PodIP.
	// +required
	// +kubebuilder:validation:MaxLength=32
	Rule string `json:"rule"`
}

// PoolStatus is what the operator knows of a pool.
type PoolStatus struct {
	// role of the pods.
	// +required
	// +kubebuilder:validation:Enum=ingest;relay;edge;transcoder;recorder
	Role string `json:"role"`

	// desired number of pods.
	// +optional
	Desired int32 `json:"desired"`

	// ready pods.
	// +optional
	Ready int32 `json:"ready"`

	// draining pods.
	// +optional
	Draining int32 `json:"draining,omitempty"`

	// planHash is the hash of the plan that the pods should run on.
	// +optional
	// +kubebuilder:validation:MaxLength=64
	PlanHash string `json:"planHash,omitempty"`

	// programmed is the number of pods that run on that plan.
	// +optional
	Programmed int32 `json:"programmed"`

	// image of the pods. It stays until spec changes it, also when the operator is upgraded.
	// +optional
	// +kubebuilder:validation:MaxLength=512
	Image string `json:"image,omitempty"`

	// idleSince is when the last object that needed the pool went; the pool goes some minutes later.
	// +optional
	IdleSince *metav1.Time `json:"idleSince,omitempty"`

	// addresses of the pods for media; at most 32 of them are shown.
	// +optional
	// +listType=map
	// +listMapKey=pod
	// +kubebuilder:validation:MaxItems=32
	Addresses []PodAddress `json:"addresses,omitempty"`
}

// MediaClassStatus is what the operator knows of a class.
type MediaClassStatus struct {
	// observedGeneration is the generation of the spec that the status speaks of; -1 before the first look.
	// +optional
	// +kubebuilder:default=-1
	ObservedGeneration int64 `json:"observedGeneration,omitempty"`

	// conditions: Accepted, Programmed, Ready; Reconciling and Stalled only while true, Served only
	// while false.
	// +optional
	// +listType=map
	// +listMapKey=type
	// +kubebuilder:validation:MaxItems=8
	Conditions []metav1.Condition `json:"conditions,omitempty"`

	// image that pools without an image of their own have: that of spec, or the one that the operator had when it first
	// saw the class.
	// +optional
	// +kubebuilder:validation:MaxLength=512
	Image string `json:"image,omitempty"`

	// pools that exist.
	// +optional
	// +listType=map
	// +listMapKey=role
	// +kubebuilder:validation:MaxItems=5
	Pools []PoolStatus `json:"pools,omitempty"`
}

// MediaClass is what a platform offers to the domains of its tenants: pools of pods, ports, addresses, and who may use
// RTS.
//
// +kubebuilder:object:root=true
// +kubebuilder:subresource:status
// +kubebuilder:resource:scope=Cluster,shortName=mediac,categories=millrace
// +kubebuilder:printcolumn:name="Region",type=string,JSONPath=`.spec.region`
// +kubebuilder:printcolumn:name="Ingest",type=integer,JSONPath=`.status.pools[?(@.role=="ingest")].ready`
// +kubebuilder:printcolumn:name="Relay",type=integer,JSONPath=`.status.pools[?(@.role=="relay")].ready`
// +kubebuilder:printcolumn:name="Edge",type=integer,JSONPath=`.status.pools[?(@.role=="edge")].ready`
// +kubebuilder:printcolumn:name="Ready",type=string,JSONPath=`.status.conditions[?(@.type=="Ready")].status`
// +kubebuilder:printcolumn:name="Reason",type=string,priority=1,JSONPath=`.status.conditions[?(@.type=="Ready")].reason`
// +kubebuilder:printcolumn:name="Age",type=date,JSONPath=`.metadata.creationTimestamp`
type MediaClass struct {
	metav1.TypeMeta `json:",inline"`
	// metadata of the object.
	// +optional
	metav1.ObjectMeta `json:"metadata,omitempty"`

	// spec is what the platform offers.
	// +optional
	// +kubebuilder:default={}
	Spec MediaClassSpec `json:"spec,omitzero"`

	// status is what is there.
	// +optional
	// +kubebuilder:default:={"observedGeneration":-1}
	Status MediaClassStatus `json:"status,omitzero"`
}

// MediaClassList is a list of MediaClasses.
//
// +kubebuilder:object:root=true
type MediaClassList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitempty"`
	Items           []MediaClass `json:"items"`
}
