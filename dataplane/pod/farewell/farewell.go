// Package farewell is what runs in a pod beside a relay, in a container of its own, for the time when nothing is left of the relay.
package farewell

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/http"
	"path/filepath"
	"strconv"
	"time"

	"github.com/go-logr/logr"
	"golang.org/x/net/netutil"

	"github.com/millrace/millrace/dataplane/certificates"
	"github.com/millrace/millrace/dataplane/plan"
	"github.com/millrace/millrace/dataplane/pod"
	"github.com/millrace/millrace/dataplane/pod/alive"
	"github.com/millrace/millrace/dataplane/pod/delivery"
	"github.com/millrace/millrace/dataplane/pod/podspec"
	"github.com/millrace/millrace/dataplane/relay"
)

// Options say beside which relay it runs.
type Options struct {
	StateDir            string // the relay's; required
	Class               string // of the relay
	Address             string // on which the relay serves HTTP; empty: all
	HTTPPort, HTTPSPort int    // of the relay; negative: it has none
	MaxViewers          int    // of the relay
	Log                 logr.Logger
}

const (
	tellLimit   = 10 * time.Second // most of it would be for tens of thousands of players
	detourLimit = 30 * time.Second // the kubelet has said by then that the pod is not ready
	maxConns    = 256              // of the detour, per port; others wait in the kernel
	lastAnswers = 5 * time.Second  // for requests that are there when the next relay begins
)

// Run waits for the end of all processes of the relay, tells the players that were left without a word to come again, and sends those who ask here elsewhere until there is
// a relay again. It returns when the context is done and the relay has ended.
func Run(ctx context.Context, o Options) error {
	if o.StateDir == "" {
		return errors.New("no state folder: want the one of the relay")
	}
	b := &beside{Options: o}
	defer b.end()
	return alive.Watch(ctx, o.StateDir, func() { b.gone(ctx) }, b.end)
}

// beside is used by one goroutine.
type beside struct {
	Options
	servers []*http.Server
}

func (b *beside) gone(ctx context.Context) {
	orphans, err := relay.Orphans(filepath.Join(b.StateDir, pod.FarewellsFile), b.MaxViewers)
	if err != nil {
		b.Log.Error(err, "Players of a relay that was killed are not told")
		return
	}
	if len(orphans) == 0 {
		return
	}
	if ctx.Err() == nil { // nothing leads to a pod that ends
		b.end()
		// Who asks before the certificates are found waits in the kernel.
		defer b.detour(b.HTTPSPort, b.certificates)()
		b.detour(b.HTTPPort, nil)()
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), tellLimit) // the relay may be killed while the pod ends
	defer cancel()
	told, err := relay.Tell(ctx, orphans)
	if err != nil {
		b.Log.Error(err, "Players of a relay that was killed were not told", "players", len(orphans), "told", told)
		return
	}
	b.Log.Info("Players of the relay, which was killed, were told to come again", "players", len(orphans), "told", told)
}

// detour listens on a port of the relay, and gives what begins to answer there: by HTTPS if there is a source of certificates.
func (b *beside) detour(port int, certs func() (*certificates.Store, error)) (answer func()) {
	if port < 0 {
		return func() {}
	}
	refused := func(err error) {
		b.Log.Error(err, "Players who ask this pod while it has no relay are refused", "port", port)
	}
	l, err := net.Listen("tcp", net.JoinHostPort(b.Address, strconv.Itoa(port)))
	if err != nil {
		refused(fmt.Errorf("listening in place of the relay: %w", err))
		return func() {}
	}
	s := &http.Server{
		Handler: relay.Detour(), ReadHeaderTimeout: 5 * time.Second, ReadTimeout: 5 * time.Second, WriteTimeout: 5 * time.Second,
		MaxHeaderBytes: 16 << 10, TLSNextProto: map[string]func(*http.Server, *tls.Conn, http.Handler){}, // HTTP/1.1 alone
	}
	s.SetKeepAlivesEnabled(false)
	return func() {
		if certs != nil {
			store, err := certs()
			if err != nil {
				_ = l.Close() // nobody is answered
				refused(err)
				return
			}
			s.TLSConfig = &tls.Config{MinVersion: tls.VersionTLS12, GetCertificate: store.Get}
		}
		b.servers = append(b.servers, s)
		time.AfterFunc(detourLimit, func() { _ = s.Close() })
		limited := netutil.LimitListener(l, maxConns)
		go func() {
			if certs != nil {
				_ = s.ServeTLS(limited, "", "") // until it is closed
			} else {
				_ = s.Serve(limited)
			}
		}()
	}
}

// certificates are those of the Plan that the relay ran on.
func (b *beside) certificates() (*certificates.Store, error) {
	current := plan.NewCurrent()
	r, err := delivery.New(delivery.Options{
		Current: current, Class: b.Class, Role: podspec.Relay, StateDir: b.StateDir, Log: logr.Discard(),
	})
	if err == nil {
		err = r.Recall()
	}
	if err != nil {
		return nil, fmt.Errorf("finding the certificates of domains: %w", err)
	}
	return certificates.New(current, certificates.Options{})
}

// end frees the ports. Who is being answered gets the answer.
func (b *beside) end() {
	for _, s := range b.servers {
		go func() {
			ctx, cancel := context.WithTimeout(context.Background(), lastAnswers)
			defer cancel()
			if s.Shutdown(ctx) != nil {
				_ = s.Close() // the rest
			}
		}()
	}
	b.servers = nil
}
