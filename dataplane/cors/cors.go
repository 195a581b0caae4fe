// Package cors lets pages of any site play: what media answers to a browser's pre-flight (Fetch, "CORS protocol"). Who
// may watch is decided by signature and access lists, never by cookies, so nothing is protected by keeping pages out.
package cors

import (
	"net/http"
	"strings"
)

// maxAsked bounds the header names that a pre-flight asks for, in bytes.
const maxAsked = 1024

// Policy is what an endpoint allows. Methods, Headers and Expose are lists as they stand in a header.
type Policy struct {
	Methods string
	Headers string // that are allowed whatever is asked for
	Expose  string
}

// Write sets the headers of an answer to req. Headers that the pre-flight asks for are allowed: players add their own,
// such as CMCD (CTA-5004) or a page's tokens, and "*" would leave Authorization out.
func (p Policy) Write(h http.Header, req *http.Request) {
	h.Set("Access-Control-Allow-Origin", "*")
	h.Set("Access-Control-Allow-Methods", p.Methods)
	headers := p.Headers
	if asked := req.Header.Get("Access-Control-Request-Headers"); req.Method == http.MethodOptions && listOfNames(asked) {
		headers += ", " + asked
	}
	h.Set("Access-Control-Allow-Headers", headers)
	h.Set("Access-Control-Expose-Headers", p.Expose)
	h.Set("Access-Control-Max-Age", "86400")
}

// listOfNames reports whether a value is a list of header names (RFC 9110, 5.6.1 and 5.6.2), within the bound.
func listOfNames(v string) bool {
	if v == "" || len(v) > maxAsked {
		return false
	}
	for name := range strings.SplitSeq(v, ",") {
		name = strings.TrimSpace(name)
		if name == "" || strings.ContainsFunc(name, func(r rune) bool {
			letter := r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9'
			return !letter && !strings.ContainsRune("!#$%&'*+-.^_`|~", r)
		}) {
			return false
		}
	}
	return true
}
