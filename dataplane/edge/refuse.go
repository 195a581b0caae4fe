package edge

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"
	"time"
)

// refusal is why a player gets nothing.
type refusal struct {
	status     int
	reason     string // one CamelCase word for programs
	message    string // what is wrong and what to do, for people
	retryAfter time.Duration
}

func (r *refusal) Error() string { return r.message }

func refuse(status int, reason, format string, args ...any) *refusal {
	r := &refusal{status: status, reason: reason, message: fmt.Sprintf(format, args...)}
	if status == http.StatusServiceUnavailable {
		r.retryAfter = retrySoon
	}
	return r
}

const retrySoon = 2 * time.Second

// write answers a request with the refusal, in the form that RTS domains have as well.
func (r *refusal) write(w http.ResponseWriter) {
	h := w.Header()
	if r.retryAfter > 0 {
		h.Set("Retry-After", strconv.Itoa(max(1, int(r.retryAfter.Seconds()+0.5))))
	}
	h.Set("Content-Type", "application/json; charset=utf-8")
	h.Set("Cache-Control", "no-store")
	w.WriteHeader(r.status)
	// a player that is gone
	_ = json.NewEncoder(w).Encode(map[string]any{"code": r.status, "reason": r.reason, "message": r.message})
}

// netStatus is the refusal as an RTMP NetStream status (Adobe ActionScript, NetStatusEvent).
func (r *refusal) netStatus() string {
	if r.status == http.StatusNotFound && r.reason == "StreamNotFound" {
		return "NetStream.Play.StreamNotFound"
	}
	return "NetStream.Play.Failed"
}
