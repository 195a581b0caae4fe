package signal

import (
	"net/http"

	"github.com/millrace/millrace/dataplane/door"
)

// LEB is the dialect of Tencent Cloud's live event broadcasting: JSON POST to pullstream, and to stopstream at the end.
type LEB struct{}

// The paths of the API.
const (
	LEBPullPath = "/webrtc/v1/pullstream"
	LEBStopPath = "/webrtc/v1/stopstream"
)

// Error codes of the API.
const (
	lebNoStream = 100010
	lebOther    = 100000 // plus the HTTP status
)

// Name is "leb".
func (LEB) Name() string { return "leb" }

type lebSDP struct {
	Type string `json:"type"`
	SDP  string `json:"sdp"`
}

// Read takes the offer and the stream's URL out of a body.
func (LEB) Read(body []byte, ask *Ask) *Refusal {
	var b struct {
		StreamURL string `json:"streamurl"`
		LocalSDP  lebSDP `json:"localsdp"`
	}
	if r := decode(body, &b); r != nil {
		return r
	}
	if b.LocalSDP.Type != "offer" || b.LocalSDP.SDP == "" {
		return door.Refuse(door.OfferMissing, `localsdp must be {"type":"offer","sdp":"..."}`)
	}
	ask.SDP = b.LocalSDP.SDP
	return ask.locateURL(b.StreamURL)
}

// ReadStop takes the session out of a stop request: the svrsig of its answer.
func (LEB) ReadStop(body []byte) (session string, r *Refusal) {
	var b struct {
		Signature string `json:"svrsig"`
	}
	if r := decode(body, &b); r != nil {
		return "", r
	}
	if b.Signature == "" {
		return "", door.Refuse(door.SessionMissing)
	}
	return b.Signature, nil
}

// Answer writes status 200 and errcode 0.
func (LEB) Answer(w http.ResponseWriter, a *Answer) {
	writeJSON(w, http.StatusOK, struct {
		Code      int    `json:"errcode"`
		Message   string `json:"errmsg"`
		RemoteSDP lebSDP `json:"remotesdp"`
		Signature string `json:"svrsig"`
	}{0, a.Notice, lebSDP{"answer", a.SDP}, a.Session})
}

// Stopped answers a stop request.
func (LEB) Stopped(w http.ResponseWriter) {
	writeJSON(w, http.StatusOK, struct {
		Code    int    `json:"errcode"`
		Message string `json:"errmsg"`
	}{0, ""})
}

// Refuse writes the refusal's status and an errcode.
func (LEB) Refuse(w http.ResponseWriter, r *Refusal, traceID string) {
	code := lebOther + r.Status
	if r.Reason == "StreamNotFound" {
		code = lebNoStream
	}
	writeRefusal(w, r, struct {
		Code         int      `json:"errcode"`
		Message      string   `json:"errmsg"`
		Reason       string   `json:"reason"`
		TraceID      string   `json:"trace_id"`
		Alternatives []string `json:"alternatives,omitempty"`
	}{code, r.Message, r.Reason, traceID, r.Alternatives})
}
