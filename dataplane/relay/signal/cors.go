package signal

import "github.com/millrace/millrace/dataplane/cors"

// The methods of the URL of a stream and of the URL of a session, as in the header Allow.
const (
	EndpointMethods = "GET, HEAD, POST, OPTIONS"
	SessionMethods  = "DELETE, PATCH, OPTIONS"
)

// CORS is what web pages of other origins may do.
func CORS() cors.Policy {
	return cors.Policy{
		Methods: "GET, HEAD, POST, DELETE, PATCH, OPTIONS",
		Headers: "Content-Type, Authorization, If-Match",
		Expose:  "Location, ETag, Link, Retry-After, Accept-Post, Accept-Patch, X-Tengine-Error, X-Millrace-Notice",
	}
}
