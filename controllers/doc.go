// Package controllers holds the reconcilers of the operator: one for each kind. What they need of the API server is written here.
package controllers

// +kubebuilder:rbac:groups=live.millrace.dev,resources=pushdomains;playdomains;domainassociations;rtstranscodetemplates;mediaclasses,verbs=get;list;watch;update;patch
// +kubebuilder:rbac:groups=live.millrace.dev,resources=pushdomains/status;playdomains/status;domainassociations/status;rtstranscodetemplates/status;mediaclasses/status;domainclaims/status,verbs=get;update;patch
// +kubebuilder:rbac:groups=live.millrace.dev,resources=pushdomains/finalizers;playdomains/finalizers;mediaclasses/finalizers,verbs=update
// +kubebuilder:rbac:groups=live.millrace.dev,resources=domainclaims,verbs=get;list;watch;create;update;patch;delete
// +kubebuilder:rbac:groups="",resources=secrets;namespaces,verbs=get;list;watch
// +kubebuilder:rbac:groups="",resources=events,verbs=create;patch
