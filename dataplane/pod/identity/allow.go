package identity

import "github.com/millrace/millrace/dataplane/pod/podspec"

// Members allows every pod and the operator: announcements are for all of them.
func Members(id podspec.Identity) bool { return id.Role == podspec.RoleOperator || Pods(id) }

// Pods allows every pod, of any class: a class' relay may pull from another's ingest.
func Pods(id podspec.Identity) bool {
	switch id.Role {
	case podspec.Ingest, podspec.Relay, podspec.Edge, podspec.Transcoder, podspec.Recorder:
		return id.Class != podspec.AnyClass
	}
	return false
}

// Role allows pods of one role, of any class.
func Role(role podspec.Role) Allow {
	return func(id podspec.Identity) bool { return id.Role == role && id.Class != podspec.AnyClass }
}
