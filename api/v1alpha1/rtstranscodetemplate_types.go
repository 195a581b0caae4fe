package v1alpha1

import metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

// TemplateType says what a rendition is made of.
//
// +kubebuilder:validation:Enum=H264;H264Origin;Audio
type TemplateType string

// The types of a template.
const (
	TemplateH264       TemplateType = "H264"
	TemplateH264Origin TemplateType = "H264Origin"
	TemplateAudio      TemplateType = "Audio"
)

// BFrames says what becomes of B-frames.
//
// +kubebuilder:validation:Enum=Drop;Keep
type BFrames string

// The values of bFrames.
const (
	BFramesDrop BFrames = "Drop"
	BFramesKeep BFrames = "Keep"
)

// VideoSettings describe the picture of a rendition.
type VideoSettings struct {
	// width in pixels, even, 100 to 2560. Only for type H264.
	// +optional
	// +kubebuilder:validation:Minimum=100
	// +kubebuilder:validation:Maximum=2560
	// +kubebuilder:validation:MultipleOf=2
	Width int32 `json:"width,omitempty"`

	// height in pixels, even, 100 to 2560. Only for type H264.
	// +optional
	// +kubebuilder:validation:Minimum=100
	// +kubebuilder:validation:Maximum=2560
	// +kubebuilder:validation:MultipleOf=2
	Height int32 `json:"height,omitempty"`

	// fps is the highest number of pictures in a second; never more than the source has.
	// +optional
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=60
	FPS int32 `json:"fps,omitempty"`

	// bitrateKbps is the bit rate of the picture in kbit/s.
	// +optional
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=30000
	BitrateKbps int32 `json:"bitrateKbps,omitempty"`

	// gopMilliseconds is the distance of key frames; never more than the source has.
	// +optional
	// +kubebuilder:default=2000
	// +kubebuilder:validation:Minimum=200
	// +kubebuilder:validation:Maximum=3000
	GOPMilliseconds int32 `json:"gopMilliseconds,omitempty"`

	// bFrames: Drop makes a picture that RTS viewers can play; Keep lets the encoder use B-frames.
	// +optional
	// +kubebuilder:default=Drop
	BFrames BFrames `json:"bFrames,omitempty"`
}

// AudioCodec of a rendition.
//
// +kubebuilder:validation:Enum=Opus;AAC;Copy
type AudioCodec string

// The audio codecs of a rendition.
const (
	AudioOpus AudioCodec = "Opus"
	AudioAAC  AudioCodec = "AAC"
	AudioCopy AudioCodec = "Copy"
)

// AudioSettings describe the sound of a rendition.
//
// +kubebuilder:validation:XValidation:rule="self.codec != 'Copy' || (!has(self.bitrateKbps) && !has(self.channels) && !has(self.sampleRateHz))",message="codec Copy leaves the sound as it is: remove bitrateKbps, channels and sampleRateHz"
// +kubebuilder:validation:XValidation:rule="self.codec != 'Opus' || !has(self.sampleRateHz) || self.sampleRateHz == 48000",message="Opus runs at 48000 Hz: remove sampleRateHz",fieldPath=".sampleRateHz"
// +kubebuilder:validation:XValidation:rule="self.codec != 'Opus' || !has(self.bitrateKbps) || (self.bitrateKbps >= 6 && self.bitrateKbps <= 510)",message="Opus takes 6 to 510 kbit/s",fieldPath=".bitrateKbps"
type AudioSettings struct {
	// codec is Opus (what browsers play over RTS), AAC (what native players play too), or Copy.
	// +optional
	// +kubebuilder:default=Opus
	Codec AudioCodec `json:"codec,omitempty"`

	// bitrateKbps is the bit rate of the sound in kbit/s; absent: 96 for Opus, 128 for AAC.
	// +optional
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=1000
	BitrateKbps int32 `json:"bitrateKbps,omitempty"`

	// channels is 1 or 2; absent: 2.
	// +optional
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=2
	Channels int32 `json:"channels,omitempty"`

	// sampleRateHz is the sample rate of AAC; absent: 44100. Opus always has 48000.
	// +optional
	// +kubebuilder:validation:Enum=22050;24000;32000;44100;48000;64000;88200;96000
	SampleRateHz int32 `json:"sampleRateHz,omitempty"`
}

// Trigger says when a rendition is made.
//
// +kubebuilder:validation:Enum=OnDemand;OnPublish
type Trigger string

// The triggers of a rendition.
const (
	OnDemand  Trigger = "OnDemand"
	OnPublish Trigger = "OnPublish"
)

// AppName is the first element of a stream's path.
//
// +kubebuilder:validation:MinLength=1
// +kubebuilder:validation:MaxLength=128
// +kubebuilder:validation:Pattern=`^[A-Za-z0-9][A-Za-z0-9._-]*$`
type AppName string

// RTSTranscodeTemplateSpec is what a tenant wants of a rendition.
//
// +kubebuilder:validation:XValidation:rule="self.type == 'Audio' || has(self.video)",message="types H264 and H264Origin need video",fieldPath=".video",reason=FieldValueRequired
// +kubebuilder:validation:XValidation:rule="self.type != 'Audio' || !has(self.video)",message="type Audio leaves the picture as it is: remove video, or use type H264",fieldPath=".video",reason=FieldValueForbidden
// +kubebuilder:validation:XValidation:rule="self.type != 'Audio' || self.audio.codec == 'Opus'",message="type Audio makes Opus only: set audio.codec to Opus",fieldPath=".audio.codec"
// +kubebuilder:validation:XValidation:rule="self.type != 'H264' || !has(self.video) || (has(self.video.width) && has(self.video.height) && has(self.video.fps) && has(self.video.bitrateKbps))",message="type H264 needs width, height, fps and bitrateKbps",fieldPath=".video",reason=FieldValueRequired
// +kubebuilder:validation:XValidation:rule="self.type != 'H264Origin' || !has(self.video) || (!has(self.video.width) && !has(self.video.height))",message="type H264Origin keeps the size of the source: remove width and height, or use type H264",fieldPath=".video"
// +kubebuilder:validation:XValidation:rule="!has(self.video) || !has(self.video.width) || !has(self.video.height) || self.video.width <= 1440 || self.video.height <= 1440",message="the shorter of width and height may be 1440 at most",fieldPath=".video"
type RTSTranscodeTemplateSpec struct {
	// templateID is the suffix of the play URL: artc://host/app/stream_ID. It cannot be changed.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=64
	// +kubebuilder:validation:XValidation:rule="self.matches('^[A-Za-z0-9][A-Za-z0-9_-]*$')",message="must be letters, digits, - and _, and begin with a letter or a digit"
	// +kubebuilder:validation:XValidation:rule="!(self in ['lld', 'lsd', 'lhd', 'lud', 'ld', 'sd', 'hd', 'ud'])",message="lld, lsd, lhd, lud, ld, sd, hd and ud are reserved: choose another id, such as rts-hd"
	// +kubebuilder:validation:XValidation:rule="self == oldSelf",message="templateID is immutable: make a new template"
	TemplateID string `json:"templateID"`

	// type is H264 (a picture of the given size), H264Origin (the size of the source), or Audio (the picture as it is, the
	// sound as Opus). It cannot be changed.
	// +required
	// +kubebuilder:validation:XValidation:rule="self == oldSelf",message="type is immutable: make a new template"
	Type TemplateType `json:"type"`

	// playDomainRef names the main PlayDomain whose streams get the rendition; its subs have it too. It cannot be changed.
	// +required
	// +kubebuilder:validation:XValidation:rule="self == oldSelf",message="playDomainRef is immutable: make a new template"
	PlayDomainRef DomainReference `json:"playDomainRef"`

	// apps are the apps whose streams get the rendition; absent: all.
	// +optional
	// +listType=set
	// +kubebuilder:validation:MaxItems=64
	Apps []AppName `json:"apps,omitempty"`

	// video is the picture; required for H264 and H264Origin.
	// +optional
	Video *VideoSettings `json:"video,omitempty"`

	// audio is the sound; absent: Opus.
	// +optional
	// +kubebuilder:default={codec: Opus}
	Audio AudioSettings `json:"audio,omitzero"`

	// trigger is OnDemand (the first viewer starts it, it ends after the last) or OnPublish.
	// +optional
	// +kubebuilder:default=OnDemand
	Trigger Trigger `json:"trigger,omitempty"`
}

// RTSTranscodeTemplateStatus is what the operator knows of a template.
type RTSTranscodeTemplateStatus struct {
	// observedGeneration is the generation of the spec that the status speaks of; -1 before the first look.
	// +optional
	// +kubebuilder:default=-1
	ObservedGeneration int64 `json:"observedGeneration,omitempty"`

	// conditions: Accepted, ResolvedRefs, Programmed, Ready; Reconciling and Stalled only while true.
	// +optional
	// +listType=map
	// +listMapKey=type
	// +kubebuilder:validation:MaxItems=8
	Conditions []metav1.Condition `json:"conditions,omitempty"`

	// size is width x height, or source.
	// +optional
	// +kubebuilder:validation:MaxLength=16
	Size string `json:"size,omitempty"`

	// sessions that run now.
	// +optional
	// +kubebuilder:validation:Minimum=0
	Sessions int32 `json:"sessions"`

	// ready transcoders of the class.
	// +optional
	// +kubebuilder:validation:Minimum=0
	Ready int32 `json:"ready,omitempty"`

	// desired transcoders of the class.
	// +optional
	// +kubebuilder:validation:Minimum=0
	Desired int32 `json:"desired,omitempty"`
}

// RTSTranscodeTemplate is a rendition that viewers ask for by the suffix of the stream's name.
//
// +kubebuilder:object:root=true
// +kubebuilder:subresource:status
// +kubebuilder:resource:shortName=rtstt,categories=millrace
// +kubebuilder:selectablefield:JSONPath=`.spec.playDomainRef.name`
// +kubebuilder:printcolumn:name="ID",type=string,JSONPath=`.spec.templateID`
// +kubebuilder:printcolumn:name="Type",type=string,JSONPath=`.spec.type`
// +kubebuilder:printcolumn:name="Size",type=string,JSONPath=`.status.size`
// +kubebuilder:printcolumn:name="FPS",type=integer,JSONPath=`.spec.video.fps`
// +kubebuilder:printcolumn:name="Kbps",type=integer,JSONPath=`.spec.video.bitrateKbps`
// +kubebuilder:printcolumn:name="Audio",type=string,JSONPath=`.spec.audio.codec`
// +kubebuilder:printcolumn:name="Main",type=string,JSONPath=`.spec.playDomainRef.name`
// +kubebuilder:printcolumn:name="Sessions",type=integer,JSONPath=`.status.sessions`
// +kubebuilder:printcolumn:name="Ready",type=string,JSONPath=`.status.conditions[?(@.type=="Ready")].status`
// +kubebuilder:printcolumn:name="Reason",type=string,priority=1,JSONPath=`.status.conditions[?(@.type=="Ready")].reason`
// +kubebuilder:printcolumn:name="Age",type=date,JSONPath=`.metadata.creationTimestamp`
type RTSTranscodeTemplate struct {
	metav1.TypeMeta `json:",inline"`
	// metadata of the object.
	// +optional
	metav1.ObjectMeta `json:"metadata,omitempty"`

	// spec is what you want.
	// +required
	Spec RTSTranscodeTemplateSpec `json:"spec"`

	// status is what is there.
	// +optional
	// +kubebuilder:default:={"observedGeneration":-1}
	Status RTSTranscodeTemplateStatus `json:"status,omitzero"`
}

// RTSTranscodeTemplateList is a list of RTSTranscodeTemplates.
//
// +kubebuilder:object:root=true
type RTSTranscodeTemplateList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitempty"`
	Items           []RTSTranscodeTemplate `json:"items"`
}
