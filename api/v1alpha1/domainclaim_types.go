package v1alpha1

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// ClaimReference names the object that a hostname belongs to.
type ClaimReference struct {
	// kind of the owner.
	// +required
	// +kubebuilder:validation:Enum=PushDomain;PlayDomain
	Kind string `json:"kind"`

	// namespace of the owner.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=63
	Namespace string `json:"namespace"`

	// name of the owner.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	Name string `json:"name"`

	// uid of the owner. A domain that is deleted and made again has another one.
	// +optional
	// +kubebuilder:validation:MaxLength=64
	UID string `json:"uid,omitempty"`
}

// AssociationReference names the DomainAssociation that binds a domain to its main.
type AssociationReference struct {
	// name of the association, in the namespace of the claim.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	Name string `json:"name"`

	// uid of the association. One that is deleted and made again has another one.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=64
	UID string `json:"uid"`
}

// DomainClaimSpec says who may use the hostname that the claim is named by.
//
// +kubebuilder:validation:XValidation:rule="!has(self.claimRef) || self.claimRef.__namespace__ == self.__namespace__",message="claimRef must be in the namespace of the claim",fieldPath=".claimRef"
// +kubebuilder:validation:XValidation:rule="self.__namespace__ == oldSelf.__namespace__",message="namespace is immutable: delete the claim and make a new one",fieldPath=".namespace"
type DomainClaimSpec struct {
	// namespace whose domains may use the hostname. An admin may create the claim ahead, with nothing but this.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=63
	Namespace string `json:"namespace"`

	// claimRef is the domain that uses the hostname. The operator sets it.
	// +optional
	ClaimRef *ClaimReference `json:"claimRef,omitempty"`

	// associationRef is the association that binds the domain, a push domain or a sub, to its main. The operator sets it:
	// the first association has the domain until it is deleted.
	// +optional
	AssociationRef *AssociationReference `json:"associationRef,omitempty"`
}

// DomainClaimStatus is what the operator knows of a claim.
type DomainClaimStatus struct {
	// observedGeneration is the generation of the spec that the status speaks of; -1 before the first look.
	// +optional
	// +kubebuilder:default=-1
	ObservedGeneration int64 `json:"observedGeneration,omitempty"`

	// conditions: Bound.
	// +optional
	// +listType=map
	// +listMapKey=type
	// +kubebuilder:validation:MaxItems=8
	Conditions []metav1.Condition `json:"conditions,omitempty"`
}

// DomainClaim, named by a hostname, is the lock that makes the hostname belong to one domain in the cluster.
//
// +kubebuilder:object:root=true
// +kubebuilder:subresource:status
// +kubebuilder:resource:scope=Cluster,shortName=domclaim,categories=millrace
// +kubebuilder:validation:XValidation:rule="self.metadata.name.matches('^([a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?[.])*[a-z]([-a-z0-9]{0,61}[a-z0-9])?$')",message="the name of a claim is a hostname, such as live.example.com"
// +kubebuilder:printcolumn:name="Namespace",type=string,JSONPath=`.spec.namespace`
// +kubebuilder:printcolumn:name="Kind",type=string,JSONPath=`.spec.claimRef.kind`
// +kubebuilder:printcolumn:name="Owner",type=string,JSONPath=`.spec.claimRef.name`
// +kubebuilder:printcolumn:name="Bound",type=string,JSONPath=`.status.conditions[?(@.type=="Bound")].status`
// +kubebuilder:printcolumn:name="Age",type=date,JSONPath=`.metadata.creationTimestamp`
type DomainClaim struct {
	metav1.TypeMeta `json:",inline"`
	// metadata of the object. Its name is the hostname.
	// +optional
	metav1.ObjectMeta `json:"metadata,omitempty"`

	// spec says who may use the hostname.
	// +required
	Spec DomainClaimSpec `json:"spec"`

	// status is what is there.
	// +optional
	// +kubebuilder:default:={"observedGeneration":-1}
	Status DomainClaimStatus `json:"status,omitzero"`
}

// DomainClaimList is a list of DomainClaims.
//
// +kubebuilder:object:root=true
type DomainClaimList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitempty"`
	Items           []DomainClaim `json:"items"`
}
