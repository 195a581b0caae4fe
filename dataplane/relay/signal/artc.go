package signal

import (
	"net/http"

	"github.com/millrace/millrace/dataplane/door"
)

// ARTC is the dialect of Alibaba Cloud's web player SDK: JSON POST to the play URL itself, answered with 200.
type ARTC struct{}

// Name is "artc".
func (ARTC) Name() string { return "artc" }

type jsep struct {
	Type string `json:"type"`
	SDP  string `json:"sdp"`
}

// Read takes the offer out of a body. The stream is named by the request's URL, not by the body.
func (ARTC) Read(body []byte, ask *Ask) *Refusal {
	var b struct {
		JSEP        jsep   `json:"jsep"`
		PushStream  string `json:"push_stream"`
		PullStreams []struct {
			URL string `json:"url"`
		} `json:"pull_streams"`
	}
	if r := decode(body, &b); r != nil {
		return r
	}
	switch {
	case b.PushStream != "":
		return door.Refuse(door.PublishNotServed)
	case len(b.PullStreams) > 1:
		return door.Refuse(door.OneStream, len(b.PullStreams))
	case b.JSEP.Type != "offer" || b.JSEP.SDP == "":
		return door.Refuse(door.OfferMissing, `jsep must be {"type":"offer","sdp":"..."}`)
	}
	ask.SDP = b.JSEP.SDP
	return nil
}

// Answer writes status 200: the SDK takes any other as an error.
func (ARTC) Answer(w http.ResponseWriter, a *Answer) {
	writeJSON(w, http.StatusOK, struct {
		Code    int    `json:"code"`
		Message string `json:"message"`
		TraceID string `json:"trace_id"`
		JSEP    jsep   `json:"jsep"`
		Notice  string `json:"notice,omitempty"`
	}{http.StatusOK, "ok", a.TraceID, jsep{"answer", a.SDP}, a.Notice})
}

// Refuse writes the refusal's status and a JSON body.
func (ARTC) Refuse(w http.ResponseWriter, r *Refusal, traceID string) {
	if r.Reason == "AddressNotAllowed" { // what the player shows as "region blocked"
		w.Header().Set("X-Tengine-Error", "denied by region block")
	}
	refuseJSON(w, r, traceID)
}
