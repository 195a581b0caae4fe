// Package farewell is what runs in a pod beside a relay, in a container of its own, for the time when nothing is left
// of the relay.
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
	"sync"
	"sync/atomic"
	"time"

	"github.com/go-logr/logr"
	"golang.org/x/net/netutil"

	"github.com/millrace/millrace/dataplane/certificates"
	"github.com/millrace/millrace/dataplane/pod"
	"github.com/millrace/millrace/dataplane/pod/alive"
	"github.com/millrace/millrace/dataplane/pod/delivery"
	"github.com/millrace/millrace/dataplane/relay/closenotice"
	"github.com/millrace/millrace/dataplane/webserver"
	"github.com/millrace/millrace/internal/contract"
	"github.com/millrace/millrace/internal/contract/plan"
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
	tellLimit = 10 * time.Second // most of it would be for tens of thousands of players
	// the kubelet takes 1.4 s and more until there is a relay again, and longer when it was killed before
	redirects    = 3 * time.Second
	releaseLimit = time.Second // some microseconds are expected
	detourLimit  = time.Minute // the pod is known not to be ready by then
	// of the detour, per port; others wait in the kernel, and are reset when the port is given up
	maxConns    = 256
	lastOffers  = time.Second     // to come in on connections that were accepted before the next relay begins
	lastAnswers = 5 * time.Second // for requests that are there when the next relay begins
)

// Run waits for the end of all processes of the relay, tells the players that were left without a word to come again,
// and answers those who ask here until there is a relay again. It returns when the context is done and the relay has
// ended.
func Run(ctx context.Context, o Options) error {
	if o.StateDir == "" {
		return errors.New("no state folder: want the one of the relay")
	}
	b := &beside{Options: o}
	defer b.detours.Wait()
	return alive.Watch(ctx, o.StateDir, func(first bool) { b.gone(ctx, first) })
}

type beside struct {
	Options
	detours sync.WaitGroup
	active  atomic.Bool // the ports are answered, or about to be
}

// gone is called when there is no relay. At first that is because there was none yet, or because there was none like
// this to see it.
func (b *beside) gone(ctx context.Context, first bool) {
	orphans, err := closenotice.Orphans(filepath.Join(b.StateDir, pod.CloseNoticesFile), b.MaxViewers)
	if err != nil {
		b.Log.Error(err, "Players of a relay that was killed are not told")
	}
	if first && len(orphans) == 0 {
		return
	}
	// Nothing leads to a pod that ends. A relay that ended before it came to its ports left the detours as they were.
	if ctx.Err() == nil && b.active.CompareAndSwap(false, true) {
		b.released(ctx)
		turn, end := context.WithTimeout(ctx, detourLimit)
		b.detours.Go(func() { // once for both: whoever looks holds the lock for a moment
			b.next(turn)
			end()
			b.active.Store(false)
		})
		b.detours.Go(func() {
			defer end() // also when neither can answer
			var both sync.WaitGroup
			both.Go(func() { b.detour(turn, b.HTTPPort, nil) })
			both.Go(func() { b.detour(turn, b.HTTPSPort, b.certificates) })
			both.Wait()
		})
	}
	if len(orphans) == 0 {
		return
	}
	// the relay may be killed while the pod ends
	telling, cancel := context.WithTimeout(context.WithoutCancel(ctx), tellLimit)
	defer cancel()
	told, err := closenotice.Tell(telling, orphans)
	if err != nil {
		b.Log.Error(err, "Players of a relay that was killed were not told", "players", len(orphans), "told", told)
		return
	}
	b.Log.Info("Players of the relay, which was killed, were told to come again", "players", len(orphans), "told", told)
}

// released waits until the relay that has ended has let go of its last lock, too: the kernel takes them one after the
// other, and nobody is to take it for the next relay, which cannot begin yet.
func (b *beside) released(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, releaseLimit)
	defer cancel()
	if err := alive.Await(ctx, b.StateDir, alive.Ports, false); err != nil {
		b.Log.Error(err, "The relay has ended and holds its ports")
	}
}

// next waits until the next relay is about to open its ports. It may end while the last answers are given: then the
// ports are answered anew.
func (b *beside) next(turn context.Context) {
	if err := alive.Await(turn, b.StateDir, alive.Ports, true); err != nil && turn.Err() == nil {
		b.Log.Error(err, "Players who ask this pod while it has no relay are refused")
	}
}

// detour answers on a port of the relay until its turn is over: by HTTPS if there is a source of certificates.
func (b *beside) detour(turn context.Context, port int, certs func() (*certificates.Store, error)) {
	if port < 0 {
		return
	}
	if err := b.answer(turn, port, certs); err != nil {
		b.Log.Error(err, "Players who ask this pod while it has no relay are refused", "port", port)
	}
}

func (b *beside) answer(turn context.Context, port int, certs func() (*certificates.Store, error)) error {
	l, err := pod.Listen(net.JoinHostPort(b.Address, strconv.Itoa(port)))
	if err != nil {
		return fmt.Errorf("listening in place of the relay: %w", err)
	}
	defer context.AfterFunc(turn, func() { _ = l.Close() })() // the port is free from then on, whatever is still done here
	s := webserver.New(closenotice.Detour(time.Now().Add(redirects)), nil, b.Log)
	s.ReadTimeout, s.WriteTimeout = 5*time.Second, 5*time.Second
	s.TLSNextProto = map[string]func(*http.Server, *tls.Conn, http.Handler){} // HTTP/1.1 alone
	s.SetKeepAlivesEnabled(false)
	serve := s.Serve
	if certs != nil {
		store, err := certs() // who asks meanwhile waits in the kernel
		if err != nil {
			return errors.Join(err, l.Close())
		}
		s.TLSConfig = &tls.Config{MinVersion: tls.VersionTLS12, GetCertificate: store.Get}
		serve = func(l net.Listener) error { return s.ServeTLS(l, "", "") }
	}
	served := make(chan struct{})
	go func() {
		defer close(served)
		_ = serve(netutil.LimitListener(l, maxConns)) // until the port is given up
	}()
	<-turn.Done()
	time.Sleep(lastOffers) // who has a connection sends its offer: a server that shuts down answers none that comes in
	last, cancel := context.WithTimeout(context.WithoutCancel(turn), lastAnswers)
	defer cancel()
	if s.Shutdown(last) != nil { // who is being answered gets the answer
		_ = s.Close() // the rest
	}
	<-served
	return nil
}

// certificates are those of the Plan that the relay ran on.
func (b *beside) certificates() (*certificates.Store, error) {
	current := plan.NewCurrent()
	r, err := delivery.New(delivery.Options{
		Current: current, Class: b.Class, Role: contract.Relay, StateDir: b.StateDir, Log: logr.Discard(),
	})
	if err == nil {
		err = r.Recall()
	}
	if err != nil {
		return nil, fmt.Errorf("finding the certificates of domains: %w", err)
	}
	return certificates.New(current, certificates.Options{})
}
