package pod

import (
	"context"
	"crypto/tls"
	"net/http"

	"github.com/millrace/millrace/dataplane/webserver"
	"github.com/millrace/millrace/internal/contract"
	"github.com/millrace/millrace/internal/contract/identity"
)

// serveInternal serves what is for other pods and the operator alone: announcements and streams, both over mutual TLS.
func (p *process) serveInternal(ctx context.Context, run func(string, func() error)) (*http.Server, error) {
	rtsp, err := p.listen(contract.NameRTSP, p.opt.RTSPPort, &p.at.RTSP)
	if err != nil {
		return nil, err
	}
	l, err := p.listen(contract.NameInternal, p.opt.InternalPort, &p.at.Internal)
	if err != nil {
		_ = rtsp.Close()
		return nil, err
	}
	mux := http.NewServeMux()
	mux.Handle("GET "+contract.PathAnnounce, p.board)
	srv := webserver.New(mux, nil, p.log)
	run("RTSP", func() error {
		defer close(p.pulled)
		return p.serveRTSP(ctx, rtsp)
	})
	secure := tls.NewListener(l, p.identity.Server(identity.Members))
	run("announcements", func() error { return closed(srv.Serve(secure)) })
	return srv, nil
}
