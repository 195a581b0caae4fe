package signal

import (
	"mime"
	"net/http"
	"strings"

	"github.com/millrace/millrace/dataplane/door"
)

// WHEP is draft-ietf-wish-whep-03: an SDP offer by POST, answered with 201 and the URL of the session.
type WHEP struct{}

// SessionPath is where WHEP session URLs begin.
const SessionPath = "/-/whep/"

// ContentSDP and ContentFragment are the media types of WHEP.
const (
	ContentSDP      = "application/sdp"
	ContentFragment = "application/trickle-ice-sdpfrag"
)

// Name is "whep".
func (WHEP) Name() string { return "whep" }

// Read takes the body as the offer. The stream is named by the request's URL.
func (WHEP) Read(body []byte, ask *Ask) *Refusal {
	ask.SDP = string(body)
	return nil
}

// Answer writes status 201.
func (WHEP) Answer(w http.ResponseWriter, a *Answer) {
	h := w.Header()
	h.Set("Content-Type", ContentSDP)
	h.Set("Location", SessionPath+a.Session)
	h.Set("ETag", a.ETag)
	h.Set("Accept-Patch", ContentFragment)
	h.Set("Cache-Control", "no-store")
	if a.Notice != "" {
		h.Set("X-Millrace-Notice", a.Notice)
	}
	w.WriteHeader(http.StatusCreated)
	_, _ = w.Write([]byte(a.SDP)) // a player that is gone
}

// Refuse writes a JSON body. A stream without publisher is 409 (section 4.2), so that a player knows to come back.
func (WHEP) Refuse(w http.ResponseWriter, r *Refusal, traceID string) {
	if r.Reason == "StreamNotFound" {
		conflict := *r
		conflict.Status = http.StatusConflict
		r = &conflict
	}
	refuseJSON(w, r, traceID)
}

// MediaType is the media type of a request's body, in lower case, without parameters.
func MediaType(req *http.Request) string {
	t, _, err := mime.ParseMediaType(req.Header.Get("Content-Type"))
	if err != nil {
		return ""
	}
	return t
}

// Options answers a pre-flight and a question for what can be posted (section 4.1).
func Options(w http.ResponseWriter, methods string) {
	w.Header().Set("Accept-Post", ContentSDP)
	w.Header().Set("Allow", methods)
	w.WriteHeader(http.StatusOK)
}

// Patch judges a PATCH of a session (section 4.3; RFC 8840). Candidates of the player are not needed by a lite agent
// and are accepted unread, with the ETag of the session or without: many libraries send none. An ICE restart is not
// supported.
func Patch(req *http.Request, body []byte, etag, playerUfrag string) *Refusal {
	if MediaType(req) != ContentFragment {
		return door.Refuse(door.NotAFragment, ContentFragment)
	}
	switch match := req.Header.Get("If-Match"); {
	case match == "":
	case match == "*":
		return door.Refuse(door.RestartNotSupported)
	case match != etag:
		return door.Refuse(door.ETagMismatch)
	}
	for _, line := range strings.Split(string(body), "\n") {
		if ufrag, ok := strings.CutPrefix(strings.TrimSpace(line), "a=ice-ufrag:"); ok && ufrag != playerUfrag {
			return door.Refuse(door.RestartNotSupported)
		}
	}
	return nil
}
