package closenotice

import (
	"io"
	"math/rand/v2"
	"net/http"
	"strings"
	"time"

	"github.com/millrace/millrace/dataplane/relay/signal"
)

// Browsers follow 20 redirects and no more: with these pauses they go on for 3 to 5 s. The pauses differ, for many ask
// at the same time.
const (
	detourPause  = 150 * time.Millisecond
	detourSpread = 100 * time.Millisecond
)

// Detour answers signalling in place of a relay that was killed: whoever asks before a moment is to send the same
// request once more, by a new connection, which a Service leads to any relay of the pool; later it is refused with 503.
// Refused connections would cost players of the official SDK two seconds each, and to pass requests on from here would
// hide the client's address from access lists. The server is to close its connections after each answer.
func Detour(until time.Time) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		signal.CORS().Write(w.Header(), req)
		if req.Method == http.MethodOptions {
			signal.Options(w, signal.EndpointMethods) // browsers follow no redirect there
			return
		}
		// a client that is still sending does not read the answer
		_, _ = io.Copy(io.Discard, http.MaxBytesReader(w, req.Body, maxDetour))
		Wait(req.Context(), detourPause+rand.N(detourSpread))
		where := req.URL.RequestURI()
		// it would lead to another host
		elsewhere := !strings.HasPrefix(where, "/") || strings.HasPrefix(where, "//") || strings.HasPrefix(where, `/\`)
		w.Header().Set("Cache-Control", "no-store")
		if elsewhere || time.Now().After(until) {
			w.Header().Set("Retry-After", "2")
			http.Error(w, "the relay is being started again", http.StatusServiceUnavailable)
			return
		}
		w.Header().Set("Location", where)
		w.WriteHeader(http.StatusTemporaryRedirect) // RFC 9110, 15.4.8: with the same method and content
	})
}

const maxDetour = 64 << 10 // of a request's content, as of an offer
