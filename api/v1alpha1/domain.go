package v1alpha1

// Hostname is a DNS name as RFC 1123 writes it: lower case, no port, no trailing dot, no wildcard, at most 253
// characters. The last label begins with a letter, so an IP address is not a hostname.
//
// +kubebuilder:validation:MinLength=1
// +kubebuilder:validation:MaxLength=253
// +kubebuilder:validation:XValidation:rule="self.matches('^([a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?[.])*[a-z]([-a-z0-9]{0,61}[a-z0-9])?$')",message="must be a lower-case DNS name without port or path, such as live.example.com"
type Hostname string

// State switches a domain on and off without deleting it.
//
// +kubebuilder:validation:Enum=Online;Offline
type State string

// The states of a domain.
const (
	Online  State = "Online"
	Offline State = "Offline"
)

// AuthType is a form of URL signing.
//
// +kubebuilder:validation:Enum=None;A;B;C
type AuthType string

// The forms of URL signing.
const (
	AuthNone AuthType = "None"
	AuthA    AuthType = "A"
	AuthB    AuthType = "B"
	AuthC    AuthType = "C"
)

// Auth says how the URLs of a domain are signed.
//
// +kubebuilder:validation:XValidation:rule="self.type == 'None' || has(self.secretRef)",message="secretRef is required unless type is None: name a Secret with the key primary",fieldPath=".secretRef",reason=FieldValueRequired
// +kubebuilder:validation:XValidation:rule="self.type != 'None' || !has(self.secretRef)",message="a secretRef without a type would leave URLs unsigned: set type to A, B or C, or remove secretRef",fieldPath=".type"
type Auth struct {
	// type is the form of the signature: A (auth_key=time-rand-uid-md5 in the query), B (time and md5 as leading path
	// elements), C (md5 and hexadecimal time as leading path elements), or None for unsigned URLs.
	// +optional
	// +kubebuilder:default=None
	Type AuthType `json:"type,omitempty"`

	// secretRef names a Secret in the same namespace with the signing keys: primary, and optionally backup. Each is 16 to
	// 64 letters and digits, and both are good at all times. To rotate them, set a new backup, sign with it, and replace
	// the primary when the URLs signed with it have expired.
	// +optional
	SecretRef *SecretReference `json:"secretRef,omitempty"`

	// validitySeconds is how long a URL is good after the time that it carries. 0 means that it carries the end itself.
	// +optional
	// +kubebuilder:default=1800
	// +kubebuilder:validation:Minimum=0
	// +kubebuilder:validation:Maximum=31536000
	ValiditySeconds *int32 `json:"validitySeconds,omitempty"`
}

// DomainTLS is the certificate of a domain.
type DomainTLS struct {
	// secretRef names a Secret of type kubernetes.io/tls in the same namespace: tls.crt (a chain of at most 64 KiB) and
	// tls.key, PEM. Keys are RSA of 2048 to 4096 bits with two primes, ECDSA P-256 or P-384, or Ed25519.
	// +required
	SecretRef SecretReference `json:"secretRef"`
}

// SecretReference names a Secret in the same namespace.
type SecretReference struct {
	// name of the Secret.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	Name string `json:"name"`
}

// DomainReference names a PushDomain or a PlayDomain in the same namespace.
type DomainReference struct {
	// name of the object (not the hostname).
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	Name string `json:"name"`
}

// Endpoint is an address that clients connect to.
type Endpoint struct {
	// protocol that is spoken there, such as RTMP, RTMPS, HTTP, HTTPS or UDP.
	// +required
	// +kubebuilder:validation:MaxLength=16
	Protocol string `json:"protocol"`

	// address is an IP address or a DNS name.
	// +required
	// +kubebuilder:validation:MaxLength=253
	Address string `json:"address"`

	// port number.
	// +required
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=65535
	Port int32 `json:"port"`
}
