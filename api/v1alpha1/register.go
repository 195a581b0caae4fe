package v1alpha1

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

// Group and Version name the API.
const (
	Group   = "live.millrace.dev"
	Version = "v1alpha1"
)

// The kinds of the API.
const (
	KindPushDomain           = "PushDomain"
	KindPlayDomain           = "PlayDomain"
	KindDomainAssociation    = "DomainAssociation"
	KindRTSTranscodeTemplate = "RTSTranscodeTemplate"
	KindMediaClass           = "MediaClass"
	KindDomainClaim          = "DomainClaim"
	KindLiveStream           = "LiveStream"
)

var (
	// GroupVersion is the group and version of all kinds here.
	GroupVersion = schema.GroupVersion{Group: Group, Version: Version}
	// SchemeBuilder collects the registration of the kinds.
	SchemeBuilder = runtime.NewSchemeBuilder(addKnownTypes)
	// AddToScheme adds the kinds to a scheme.
	AddToScheme = SchemeBuilder.AddToScheme
)

func addKnownTypes(scheme *runtime.Scheme) error {
	scheme.AddKnownTypes(GroupVersion,
		&PushDomain{}, &PushDomainList{},
		&PlayDomain{}, &PlayDomainList{},
		&DomainAssociation{}, &DomainAssociationList{},
		&RTSTranscodeTemplate{}, &RTSTranscodeTemplateList{},
		&MediaClass{}, &MediaClassList{},
		&DomainClaim{}, &DomainClaimList{},
		&LiveStream{}, &LiveStreamList{},
	)
	metav1.AddToGroupVersion(scheme, GroupVersion)
	return nil
}
