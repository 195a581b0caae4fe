// Package controllers holds the reconcilers of the operator: one for each kind, and one that delivers Plans. They fetch
// an object, read from the board what is decided about it, act, and report. What each needs of the API server stands
// beside it.
package controllers

// +kubebuilder:rbac:groups="",resources=namespaces,verbs=get;list;watch
