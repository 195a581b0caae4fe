package contract

import (
	"net/url"
	"strings"
)

// Identity is whom a certificate of the operator's authority was issued to.
type Identity struct {
	Class string // AnyClass for the operator
	Role  Role
}

// The operator's own identity.
const (
	AnyClass          = "-"
	RoleOperator Role = "operator"
)

const (
	scheme      = "spiffe"
	trustDomain = "millrace"
)

// URI is the URI SAN of the identity's certificate: spiffe://millrace/<class>/<role>.
func (i Identity) URI() string {
	return scheme + "://" + trustDomain + "/" + i.Class + "/" + string(i.Role)
}

// OperatorIdentity is that of the operator: spiffe://millrace/-/operator.
func OperatorIdentity() Identity { return Identity{Class: AnyClass, Role: RoleOperator} }

// ParseIdentity reads a URI SAN; false when it is not one of ours.
func ParseIdentity(u *url.URL) (Identity, bool) {
	if u == nil || u.Scheme != scheme || u.Host != trustDomain || u.User != nil || u.RawQuery != "" || u.Fragment != "" {
		return Identity{}, false
	}
	class, role, ok := strings.Cut(strings.TrimPrefix(u.Path, "/"), "/")
	if !ok || class == "" || role == "" || strings.Contains(role, "/") {
		return Identity{}, false
	}
	return Identity{Class: class, Role: Role(role)}, true
}
