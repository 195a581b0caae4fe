package edge

import (
	"encoding/json"
	"net/http"
	"strconv"

	"github.com/millrace/millrace/dataplane/door"
)

// refuse answers a request with a refusal, in the form that RTS domains have as well.
func refuse(w http.ResponseWriter, r *door.Refusal) {
	h := w.Header()
	if r.RetryAfter > 0 {
		h.Set("Retry-After", strconv.Itoa(max(1, int(r.RetryAfter.Seconds()+0.5))))
	}
	h.Set("Content-Type", "application/json; charset=utf-8")
	h.Set("Cache-Control", "no-store")
	w.WriteHeader(r.Status)
	// a viewer that is gone
	_ = json.NewEncoder(w).Encode(map[string]any{"code": r.Status, "reason": r.Reason, "message": r.Message})
}
