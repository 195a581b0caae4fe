package signal

import (
	"net/http"

	"github.com/millrace/millrace/dataplane/door"
)

// SRS is the dialect of SRS's HTTP API: JSON POST to /rtc/v1/play/ that names the stream by URL.
type SRS struct {
	Server string // name of this server, shown in answers
}

// SRSPath is the path of the API.
const SRSPath = "/rtc/v1/play"

// Name is "srs".
func (SRS) Name() string { return "srs" }

// Read takes the offer and the stream's URL out of a body.
func (SRS) Read(body []byte, ask *Ask) *Refusal {
	var b struct {
		StreamURL string `json:"streamurl"`
		SDP       string `json:"sdp"`
	}
	if r := decode(body, &b); r != nil {
		return r
	}
	if b.SDP == "" {
		return door.Refuse(door.OfferMissing, "sdp must be the offer")
	}
	ask.SDP = b.SDP
	return ask.locateURL(b.StreamURL)
}

// Answer writes status 200 and code 0.
func (d SRS) Answer(w http.ResponseWriter, a *Answer) {
	writeJSON(w, http.StatusOK, struct {
		Code      int    `json:"code"`
		Server    string `json:"server"`
		SDP       string `json:"sdp"`
		SessionID string `json:"sessionid"`
		Notice    string `json:"notice,omitempty"`
	}{0, d.Server, a.SDP, a.Session, a.Notice})
}

// Refuse writes the refusal's status, which is the code too.
func (SRS) Refuse(w http.ResponseWriter, r *Refusal, traceID string) { refuseJSON(w, r, traceID) }
