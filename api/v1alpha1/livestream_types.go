package v1alpha1

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// The condition types of a LiveStream.
const (
	// ConditionLive is True while the stream has its encoder.
	ConditionLive = "Live"
	// ConditionSourceCompliant is True when any browser can play the source's video by RTS as it is, or its Opus when it
	// has no video. The message says whether browsers play the sound.
	ConditionSourceCompliant = "SourceCompliant"
)

// Reasons of Live.
const (
	// ReasonPublishing says that the encoder sends.
	ReasonPublishing Reason = "Publishing"
	// ReasonEncoderLost says that the connection of the encoder broke, and the stream waits for it.
	ReasonEncoderLost Reason = "EncoderLost"
	// ReasonEnded says that the stream is over.
	ReasonEnded Reason = "Ended"
)

// Reasons of SourceCompliant. When it is False, the reason is that of a check (internal/contract/check).
const (
	// ReasonCompliant is the reason of SourceCompliant=True.
	ReasonCompliant Reason = "Compliant"
	// ReasonUnknown says that the source has not been looked at yet.
	ReasonUnknown Reason = "Unknown"
)

// LiveStreamSpec says which stream it is.
//
// +kubebuilder:validation:XValidation:rule="self == oldSelf",message="the identity of a stream is immutable"
type LiveStreamSpec struct {
	// pushDomain that the stream is published to.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	PushDomain string `json:"pushDomain"`

	// app of the stream.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=256
	App string `json:"app"`

	// stream is its name.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=256
	Stream string `json:"stream"`
}

// LiveVideo is what is known of the picture.
type LiveVideo struct {
	// codec of the video, such as H264.
	// +optional
	// +kubebuilder:validation:MaxLength=16
	Codec string `json:"codec,omitempty"`

	// profile of the codec, such as High.
	// +optional
	// +kubebuilder:validation:MaxLength=64
	Profile string `json:"profile,omitempty"`

	// size of the picture, width x height in pixels.
	// +optional
	// +kubebuilder:validation:MaxLength=16
	Size string `json:"size,omitempty"`

	// fps is the number of pictures per second.
	// +optional
	// +kubebuilder:validation:Minimum=0
	// +kubebuilder:validation:Maximum=1000
	FPS int32 `json:"fps,omitempty"`

	// gopMilliseconds is the longest distance of two key frames.
	// +optional
	// +kubebuilder:validation:Minimum=0
	// +kubebuilder:validation:Maximum=86400000
	GOPMilliseconds int32 `json:"gopMilliseconds,omitempty"`

	// bFrames reports whether there are B-frames.
	// +optional
	// +kubebuilder:validation:Enum=Present;Absent
	BFrames string `json:"bFrames,omitempty"`

	// bitrateKbps of the video, rounded.
	// +optional
	// +kubebuilder:validation:Minimum=0
	// +kubebuilder:validation:Maximum=10000000
	BitrateKbps int32 `json:"bitrateKbps,omitempty"`
}

// LiveAudio is what is known of the sound.
type LiveAudio struct {
	// codec of the audio, such as AAC.
	// +optional
	// +kubebuilder:validation:MaxLength=16
	Codec string `json:"codec,omitempty"`

	// sampleRateHz of the audio.
	// +optional
	// +kubebuilder:validation:Minimum=0
	// +kubebuilder:validation:Maximum=768000
	SampleRateHz int32 `json:"sampleRateHz,omitempty"`

	// channels of the audio.
	// +optional
	// +kubebuilder:validation:Minimum=0
	// +kubebuilder:validation:Maximum=64
	Channels int32 `json:"channels,omitempty"`

	// bitrateKbps of the audio, rounded.
	// +optional
	// +kubebuilder:validation:Minimum=0
	// +kubebuilder:validation:Maximum=10000
	BitrateKbps int32 `json:"bitrateKbps,omitempty"`
}

// LiveViewers counts those who watch, by the way in which they do.
type LiveViewers struct {
	// kind is the way of watching, such as artc or whep.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=32
	Kind string `json:"kind"`

	// count of the viewers, rounded when there are many.
	// +optional
	// +kubebuilder:validation:Minimum=0
	// +kubebuilder:validation:Maximum=100000000
	Count int32 `json:"count"`
}

// LiveStreamStatus is what is known of a stream.
type LiveStreamStatus struct {
	// observedGeneration is the generation of the spec that the status speaks of; -1 before the first look.
	// +optional
	// +kubebuilder:default=-1
	ObservedGeneration int64 `json:"observedGeneration,omitempty"`

	// conditions: Live, SourceCompliant.
	// +optional
	// +listType=map
	// +listMapKey=type
	// +kubebuilder:validation:MaxItems=8
	Conditions []metav1.Condition `json:"conditions,omitempty"`

	// video is what is known of the picture.
	// +optional
	Video LiveVideo `json:"video,omitzero"`

	// audio is what is known of the sound.
	// +optional
	Audio LiveAudio `json:"audio,omitzero"`

	// mainPlayDomain is the hostname of the main play domain that the stream belongs to.
	// +optional
	// +kubebuilder:validation:MaxLength=253
	MainPlayDomain string `json:"mainPlayDomain,omitempty"`

	// pod is the ingest pod that has the encoder.
	// +optional
	// +kubebuilder:validation:MaxLength=253
	Pod string `json:"pod,omitempty"`

	// client is the address of the encoder.
	// +optional
	// +kubebuilder:validation:MaxLength=64
	Client string `json:"client,omitempty"`

	// since is when the present publish began.
	// +optional
	Since *metav1.Time `json:"since,omitempty"`

	// ended is when the stream ended; the object is deleted a minute later.
	// +optional
	Ended *metav1.Time `json:"ended,omitempty"`

	// renditions lists the ids of the templates whose renditions are made now.
	// +optional
	// +listType=set
	// +kubebuilder:validation:MaxItems=32
	// +kubebuilder:validation:items:MaxLength=64
	Renditions []string `json:"renditions,omitempty"`

	// totalViewers counts all who watch, of renditions too, rounded when there are many.
	// +optional
	// +kubebuilder:validation:Minimum=0
	// +kubebuilder:validation:Maximum=100000000
	TotalViewers int32 `json:"totalViewers"`

	// viewers counts them by the way in which they watch.
	// +optional
	// +listType=map
	// +listMapKey=kind
	// +kubebuilder:validation:MaxItems=16
	Viewers []LiveViewers `json:"viewers,omitempty"`
}

// LiveStream shows a stream that is being published. The operator writes it; nothing reads it but people and programs
// of theirs.
//
// +kubebuilder:object:root=true
// +kubebuilder:subresource:status
// +kubebuilder:resource:shortName=lstream,categories=millrace
// +kubebuilder:printcolumn:name="Domain",type=string,JSONPath=`.spec.pushDomain`
// +kubebuilder:printcolumn:name="App",type=string,JSONPath=`.spec.app`
// +kubebuilder:printcolumn:name="Stream",type=string,JSONPath=`.spec.stream`
// +kubebuilder:printcolumn:name="Live",type=string,JSONPath=`.status.conditions[?(@.type=="Live")].status`
// +kubebuilder:printcolumn:name="Codec",type=string,JSONPath=`.status.video.codec`
// +kubebuilder:printcolumn:name="Size",type=string,JSONPath=`.status.video.size`
// +kubebuilder:printcolumn:name="FPS",type=integer,JSONPath=`.status.video.fps`
// +kubebuilder:printcolumn:name="Kbps",type=integer,JSONPath=`.status.video.bitrateKbps`
// +kubebuilder:printcolumn:name="GOP",type=integer,JSONPath=`.status.video.gopMilliseconds`
// +kubebuilder:printcolumn:name="Viewers",type=integer,JSONPath=`.status.totalViewers`
// +kubebuilder:printcolumn:name="Compliant",type=string,JSONPath=`.status.conditions[?(@.type=="SourceCompliant")].reason`
// +kubebuilder:printcolumn:name="Age",type=date,JSONPath=`.metadata.creationTimestamp`
// +kubebuilder:printcolumn:name="Audio",type=string,priority=1,JSONPath=`.status.audio.codec`
// +kubebuilder:printcolumn:name="Pod",type=string,priority=1,JSONPath=`.status.pod`
type LiveStream struct {
	metav1.TypeMeta `json:",inline"`
	// metadata of the object.
	// +optional
	metav1.ObjectMeta `json:"metadata,omitempty"`

	// spec says which stream it is.
	// +required
	Spec LiveStreamSpec `json:"spec"`

	// status is what is known of it.
	// +optional
	// +kubebuilder:default:={"observedGeneration":-1}
	Status LiveStreamStatus `json:"status,omitzero"`
}

// LiveStreamList is a list of LiveStreams.
//
// +kubebuilder:object:root=true
type LiveStreamList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitempty"`
	Items           []LiveStream `json:"items"`
}
