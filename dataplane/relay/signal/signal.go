// Package signal is the signalling dialects of WebRTC players: how each asks for a stream, is answered, and is refused.
// It knows nothing of sessions. One file is one dialect, and one row of Table.
package signal

import (
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"github.com/millrace/millrace/dataplane/door"
)

// MaxBody bounds a request's body in bytes.
const MaxBody = 64 << 10

// Ask is a player's wish for a stream.
type Ask struct {
	Host     string // of the play domain, as the dialect names it; lower case, no port
	Port     string // that the player asked at, with its colon; empty when its URL names none
	Path     string // of the stream's URL, escaped as it was sent
	RawQuery string
	SDP      string
	NoAudio  bool // "@subaudio=no"
	NoVideo  bool // "@subvideo=no"
}

// Answer is what a player gets.
type Answer struct {
	SDP     string
	Session string // id, hard to guess; the dialects that end sessions by request name it
	ETag    string
	TraceID string
	Notice  string // what a person should know, such as a track that is not there; empty mostly
}

// Refusal is why a player gets nothing.
type Refusal = door.Refusal

// refusalBody is the JSON that all dialects but those with a form of their own give with a refusal.
type refusalBody struct {
	Code         int      `json:"code"`
	Reason       string   `json:"reason"`
	Message      string   `json:"message"`
	TraceID      string   `json:"trace_id,omitempty"`
	Alternatives []string `json:"alternatives,omitempty"`
}

func refuseJSON(w http.ResponseWriter, r *Refusal, traceID string) {
	writeRefusal(w, r, refusalBody{r.Status, r.Reason, r.Message, traceID, r.Alternatives})
}

func writeRefusal(w http.ResponseWriter, r *Refusal, body any) {
	if r.RetryAfter > 0 {
		w.Header().Set("Retry-After", strconv.Itoa(max(1, int(r.RetryAfter.Seconds()+0.5))))
	}
	writeJSON(w, r.Status, body)
}

func writeJSON(w http.ResponseWriter, status int, body any) {
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(body) // a player that is gone
}

// ReadBody reads a request's body within its bound.
func ReadBody(w http.ResponseWriter, req *http.Request) ([]byte, *Refusal) {
	b, err := io.ReadAll(http.MaxBytesReader(w, req.Body, MaxBody))
	var tooLarge *http.MaxBytesError
	switch {
	case errors.As(err, &tooLarge):
		return nil, door.Refuse(door.BodyTooLarge, MaxBody)
	case err != nil:
		return nil, door.Refuse(door.BodyUnreadable)
	}
	return b, nil
}

// decode reads a JSON body.
func decode(b []byte, v any) *Refusal {
	if err := json.Unmarshal(b, v); err != nil {
		return door.Refuse(door.InvalidJSON, err)
	}
	return nil
}

// Locate fills in what a URL says: path, query and the suffixes that leave out a track.
func (a *Ask) Locate(path, rawQuery string) {
	a.Path, a.RawQuery = path, rawQuery
	for _, part := range []*string{&a.RawQuery, &a.Path} {
		before, suffix, found := strings.Cut(*part, "@sub")
		if !found {
			continue
		}
		*part = before
		for _, kv := range strings.Split("sub"+strings.ReplaceAll(suffix, "@", "&"), "&") {
			a.NoAudio = a.NoAudio || kv == "subaudio=no"
			a.NoVideo = a.NoVideo || kv == "subvideo=no"
		}
	}
}

// locateURL fills in what the stream URL inside a body says.
func (a *Ask) locateURL(text string) *Refusal {
	u, err := url.Parse(text)
	if err != nil || u.Hostname() == "" || len(text) > 4096 {
		return door.Refuse(door.InvalidStreamURL)
	}
	a.Host = strings.ToLower(u.Hostname())
	a.Locate(u.EscapedPath(), u.RawQuery)
	return nil
}
