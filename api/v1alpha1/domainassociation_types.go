package v1alpha1

import metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

// AssociationType says what is associated.
//
// +kubebuilder:validation:Enum=PushToPlay;MainToSub
type AssociationType string

// The types of an association.
const (
	PushToPlay AssociationType = "PushToPlay"
	MainToSub  AssociationType = "MainToSub"
)

// DomainAssociationSpec names the two ends. It cannot be changed.
//
// +kubebuilder:validation:XValidation:rule="self == oldSelf",message="an association is immutable: delete it and make a new one"
// +kubebuilder:validation:XValidation:rule="self.type != 'PushToPlay' || has(self.pushDomainRef)",message="type PushToPlay needs pushDomainRef",fieldPath=".pushDomainRef",reason=FieldValueRequired
// +kubebuilder:validation:XValidation:rule="self.type != 'PushToPlay' || !has(self.subPlayDomainRef)",message="subPlayDomainRef is only for type MainToSub",fieldPath=".subPlayDomainRef",reason=FieldValueForbidden
// +kubebuilder:validation:XValidation:rule="self.type != 'MainToSub' || has(self.subPlayDomainRef)",message="type MainToSub needs subPlayDomainRef",fieldPath=".subPlayDomainRef",reason=FieldValueRequired
// +kubebuilder:validation:XValidation:rule="self.type != 'MainToSub' || !has(self.pushDomainRef)",message="pushDomainRef is only for type PushToPlay",fieldPath=".pushDomainRef",reason=FieldValueForbidden
// +kubebuilder:validation:XValidation:rule="!has(self.subPlayDomainRef) || self.subPlayDomainRef.name != self.mainPlayDomainRef.name",message="a play domain cannot be its own sub: name two different play domains",fieldPath=".subPlayDomainRef"
type DomainAssociationSpec struct {
	// type is PushToPlay (a push domain feeds a main play domain) or MainToSub (a sub play domain serves the streams of a
	// main).
	// +required
	Type AssociationType `json:"type"`

	// pushDomainRef names the PushDomain of a PushToPlay association.
	// +optional
	PushDomainRef *DomainReference `json:"pushDomainRef,omitempty"`

	// subPlayDomainRef names the PlayDomain that becomes the sub of a MainToSub association.
	// +optional
	SubPlayDomainRef *DomainReference `json:"subPlayDomainRef,omitempty"`

	// mainPlayDomainRef names the main PlayDomain.
	// +required
	MainPlayDomainRef DomainReference `json:"mainPlayDomainRef"`
}

// DomainAssociationStatus is what the operator knows of an association.
type DomainAssociationStatus struct {
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

	// child is the hostname of the push domain or of the sub.
	// +optional
	// +kubebuilder:validation:MaxLength=253
	Child string `json:"child,omitempty"`

	// main is the hostname of the main play domain.
	// +optional
	// +kubebuilder:validation:MaxLength=253
	Main string `json:"main,omitempty"`
}

// DomainAssociation binds a push domain to its main play domain, or a sub play domain to its main. All are in one
// namespace.
//
// +kubebuilder:object:root=true
// +kubebuilder:subresource:status
// +kubebuilder:resource:shortName=domassoc,categories=millrace
// +kubebuilder:selectablefield:JSONPath=`.spec.pushDomainRef.name`
// +kubebuilder:selectablefield:JSONPath=`.spec.subPlayDomainRef.name`
// +kubebuilder:selectablefield:JSONPath=`.spec.mainPlayDomainRef.name`
// +kubebuilder:printcolumn:name="Type",type=string,JSONPath=`.spec.type`
// +kubebuilder:printcolumn:name="Child",type=string,JSONPath=`.status.child`
// +kubebuilder:printcolumn:name="Main",type=string,JSONPath=`.status.main`
// +kubebuilder:printcolumn:name="Ready",type=string,JSONPath=`.status.conditions[?(@.type=="Ready")].status`
// +kubebuilder:printcolumn:name="Reason",type=string,JSONPath=`.status.conditions[?(@.type=="Ready")].reason`
// +kubebuilder:printcolumn:name="Age",type=date,JSONPath=`.metadata.creationTimestamp`
type DomainAssociation struct {
	metav1.TypeMeta `json:",inline"`
	// metadata of the object.
	// +optional
	metav1.ObjectMeta `json:"metadata,omitempty"`

	// spec is what you want.
	// +required
	Spec DomainAssociationSpec `json:"spec"`

	// status is what is there.
	// +optional
	// +kubebuilder:default:={"observedGeneration":-1}
	Status DomainAssociationStatus `json:"status,omitzero"`
}

// DomainAssociationList is a list of DomainAssociations.
//
// +kubebuilder:object:root=true
type DomainAssociationList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitempty"`
	Items           []DomainAssociation `json:"items"`
}
