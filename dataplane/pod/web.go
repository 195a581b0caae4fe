package pod

import (
	"context"
	"errors"
	"net"
	"net/http"

	"github.com/millrace/millrace/dataplane/webserver"
	"github.com/millrace/millrace/internal/contract"
)

// web serves play domains by HTTP and HTTPS.
type web struct {
	p           *process
	servers     []*http.Server // HTTP, HTTPS
	http, https net.Listener
}

// newWeb makes the servers for a handler.
func newWeb(p *process, h http.Handler) *web {
	w := &web{p: p}
	for range 2 {
		w.servers = append(w.servers, webserver.Public(h, p.certs.Get, p.log))
	}
	return w
}

func (w *web) open() (err error) {
	if w.http, err = w.p.listen(contract.NameHTTP, w.p.opt.HTTPPort, &w.p.at.HTTP); err != nil {
		return err
	}
	w.https, err = w.p.listen(contract.NameHTTPS, w.p.opt.HTTPSPort, &w.p.at.HTTPS)
	return err
}

func (w *web) serve(run func(string, func() error)) {
	if w.http != nil {
		run("HTTP", func() error { return closed(w.servers[0].Serve(w.http)) })
	}
	if w.https != nil {
		run("HTTPS", func() error { return closed(w.servers[1].ServeTLS(w.https, "", "")) })
	}
}

// closed passes over the error that a server was shut down.
func closed(err error) error {
	if errors.Is(err, http.ErrServerClosed) {
		return nil
	}
	return err
}

// shutdown takes no more requests and lets those that are there finish.
func (w *web) shutdown(ctx context.Context) {
	for _, s := range w.servers {
		_ = s.Shutdown(ctx) // cut by close
	}
}

func (w *web) close() {
	for _, s := range w.servers {
		_ = s.Close()
	}
	for _, l := range []net.Listener{w.http, w.https} {
		if l != nil {
			_ = l.Close() // it may be closed already
		}
	}
}
