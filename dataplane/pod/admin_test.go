package pod

import (
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/millrace/millrace/internal/contract"
)

// On the network of a node the admin port gives probes to everybody, the rest to the node itself, and profiles to
// nobody unless they are turned on.
func TestTheAdminPortShowsOthersProbesAlone(t *testing.T) {
	const here, near, far = "127.0.0.1:4000", "[::1]:4000", "192.0.2.7:4000"
	for _, c := range []struct {
		opt        Options
		from, path string
		want       int
	}{
		{Options{}, far, contract.PathLive, http.StatusOK},
		{Options{}, far, contract.PathMetrics, http.StatusOK},
		{Options{}, here, "/debug/pprof/", http.StatusNotFound},
		{Options{Pprof: true}, far, "/debug/pprof/", http.StatusOK},
		{Options{AdminProbesOnly: true}, far, contract.PathLive, http.StatusOK},
		{Options{AdminProbesOnly: true}, far, contract.PathMetrics, http.StatusForbidden},
		{Options{AdminProbesOnly: true}, far, contract.PathState, http.StatusForbidden},
		{Options{AdminProbesOnly: true}, here, contract.PathMetrics, http.StatusOK},
		{Options{AdminProbesOnly: true}, near, contract.PathMetrics, http.StatusOK},
		{Options{AdminProbesOnly: true, Pprof: true}, far, "/debug/pprof/", http.StatusForbidden},
		{Options{AdminProbesOnly: true, Pprof: true}, here, "/debug/pprof/", http.StatusOK},
	} {
		p := &process{opt: c.opt, registry: prometheus.NewRegistry()}
		r := httptest.NewRequest(http.MethodGet, c.path, nil)
		r.RemoteAddr = c.from
		w := httptest.NewRecorder()
		p.admin().ServeHTTP(w, r)
		if w.Code != c.want {
			t.Errorf("%+v: %s asks for %s: %d, want %d", c.opt, c.from, c.path, w.Code, c.want)
		}
	}
}
