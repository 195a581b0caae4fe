// Package v1alpha1 holds the kinds of live.millrace.dev/v1alpha1, their defaults and the rules that need no other
// object.
//
// The markers are the source of the CRDs: defaults, bounds and CEL rules live here once and are used by the API server,
// by "millrace validate" and by "millrace standalone".
//
// +kubebuilder:object:generate=true
// +groupName=live.millrace.dev
package v1alpha1
