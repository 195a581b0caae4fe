package identity

import "github.com/millrace/millrace/internal/contract"

// Members allows every pod and the operator: announcements are for all of them.
func Members(id contract.Identity) bool { return id.Role == contract.RoleOperator || Pods(id) }

// Pods allows every pod, of any class: a class' relay may pull from another's ingest.
func Pods(id contract.Identity) bool {
	switch id.Role {
	case contract.Ingest, contract.Relay, contract.Edge, contract.Transcoder, contract.Recorder:
		return id.Class != contract.AnyClass
	}
	return false
}

// Role allows pods of one role, of any class.
func Role(role contract.Role) Allow {
	return func(id contract.Identity) bool { return id.Role == role && id.Class != contract.AnyClass }
}
