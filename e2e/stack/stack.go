// Package stack runs the server as users do, standalone on a folder of manifests, for end-to-end tests and
// measurements.
package stack

import (
	"bytes"
	"context"
	_ "embed"
	"errors"
	"fmt"
	"net/http"
	"net/netip"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/go-logr/logr"

	"github.com/millrace/millrace/dataplane/standalone"
	"github.com/millrace/millrace/dataplane/urlauth"
	"github.com/millrace/millrace/internal/contract/plan"
	"github.com/millrace/millrace/internal/testsrc"
)

//go:embed service.yaml
var service []byte

// playKey signs the play URLs of the pair Signed; service.yaml has the same.
const playKey = "exampleOnlyPlayPrimary1"

// Pair is a push domain and the two play domains that it feeds, as service.yaml has them.
type Pair string

// The pairs: Signed has signed play URLs.
const (
	Open   Pair = ""
	Signed Pair = "-signed"
)

// Push is the hostname to publish to.
func (p Pair) Push() string { return "push" + string(p) + ".example.com" }

// Play is the hostname to play from.
func (p Pair) Play() string { return "rts" + string(p) + ".example.com" }

// Standard is the hostname to play RTMP, FLV and HLS from.
func (p Pair) Standard() string { return "play" + string(p) + ".example.com" }

// app is the app that all streams are published to.
const app = "live"

// Options of a Stack; zero values take the defaults.
type Options struct {
	Log       logr.Logger
	Manifests string                    // added to the service: templates, say
	Change    func(*standalone.Options) // what else is to be different
}

// Stack is a running server. Its ports are free ones on 127.0.0.1.
type Stack struct {
	RTMP, HTTP, HTTPS int
	Admin             int // metrics and state

	cancel context.CancelFunc
	done   chan error
	dir    string
}

// Start runs the server until the context ends or Stop is called.
func Start(ctx context.Context, opt Options) (*Stack, error) {
	dir, err := os.MkdirTemp("", "millrace-stack-")
	if err != nil {
		return nil, fmt.Errorf("making a folder for manifests: %w", err)
	}
	manifests := service
	if opt.Manifests != "" {
		manifests = []byte(string(service) + "---\n" + opt.Manifests)
	}
	if err := os.WriteFile(filepath.Join(dir, "service.yaml"), manifests, 0o600); err != nil {
		return nil, errors.Join(fmt.Errorf("writing the manifests: %w", err), os.RemoveAll(dir))
	}
	ctx, cancel := context.WithCancel(ctx)
	s := &Stack{cancel: cancel, done: make(chan error, 1), dir: dir}
	started := make(chan standalone.Addresses, 1)
	so := standalone.Options{
		Manifests: []string{
			dir,
		}, Log: opt.Log, Address: "127.0.0.1", RTMPSPort: -1, SelfSigned: true, AdminAddr: "127.0.0.1:0",
		MediaListen: []netip.Addr{netip.AddrFrom4([4]byte{127, 0, 0, 1})},
		Started:     func(a standalone.Addresses) { started <- a },
	}
	if opt.Change != nil {
		opt.Change(&so)
	}
	go func() { s.done <- standalone.Run(ctx, so) }()
	select {
	case at := <-started:
		s.RTMP, s.HTTP, s.HTTPS, s.Admin = int(
			at.RTMP.Port(),
		), int(
			at.HTTP.Port(),
		), int(
			at.HTTPS.Port(),
		), int(
			at.Admin.Port(),
		)
		return s, nil
	case err := <-s.done:
		cancel()
		return nil, errors.Join(fmt.Errorf("starting the server: %w", err), os.RemoveAll(dir))
	}
}

// Stop drains the server and waits for its end.
func (s *Stack) Stop() error {
	s.cancel()
	return errors.Join(<-s.done, os.RemoveAll(s.dir))
}

// Publish starts a publisher of app/name and returns when the stream can be played. The publisher ends with the
// context.
func (s *Stack) Publish(ctx context.Context, pair Pair, name string, o testsrc.Options) (*testsrc.Publisher, error) {
	o.URL = s.PushURL(pair, name)
	p, err := testsrc.Publish(ctx, o)
	if err != nil {
		return nil, fmt.Errorf("publishing %s: %w", name, err)
	}
	if err := s.Await(ctx, pair, name, p.Done()); err != nil {
		return nil, fmt.Errorf("%w; the publisher says: %s", err, p.Output())
	}
	return p, nil
}

// PushURL is where a stream is published.
func (s *Stack) PushURL(pair Pair, name string) string {
	return fmt.Sprintf("rtmp://127.0.0.1:%d/%s/%s?vhost=%s", s.RTMP, app, name, pair.Push())
}

// Await waits until a stream can be played. ended tells that its publisher has gone.
func (s *Stack) Await(ctx context.Context, pair Pair, name string, ended <-chan struct{}) error {
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for {
		live, err := s.live(ctx, pair, name)
		if live {
			return nil
		}
		select {
		case <-ctx.Done():
			return errors.Join(fmt.Errorf("waiting for %s to be live: %w", name, ctx.Err()), err)
		case <-ended:
			return fmt.Errorf("the publisher of %s ended before the stream was live", name)
		case <-tick.C:
		}
	}
}

// live asks for the stream with an offer that cannot be answered: a stream that is there makes it 400 or 415, one that
// is not 404.
func (s *Stack) live(ctx context.Context, pair Pair, name string) (bool, error) {
	target := s.Page("http", pair, name)
	if pair == Signed {
		var err error
		if target, err = s.Sign(target); err != nil {
			return false, err
		}
	}
	u, err := url.Parse(target)
	if err != nil {
		return false, fmt.Errorf("parsing %s: %w", target, err)
	}
	host := u.Host
	u.Host = fmt.Sprintf("127.0.0.1:%d", s.HTTP)
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, u.String(), bytes.NewReader([]byte("v=0\r\n")))
	if err != nil {
		return false, fmt.Errorf("asking for %s: %w", name, err)
	}
	req.Host = host
	req.Header.Set("Content-Type", "application/sdp")
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return false, fmt.Errorf("asking for %s: %w", name, err)
	}
	res.Body.Close()
	switch res.StatusCode {
	case http.StatusBadRequest, http.StatusUnsupportedMediaType:
		return true, nil
	}
	return false, fmt.Errorf("asking for %s: status %s", name, res.Status)
}

// ARTC is the artc URL of a stream, without a port: the browser's resolver rules lead to the server.
func (s *Stack) ARTC(pair Pair, name string) string {
	return "artc://" + pair.Play() + "/" + app + "/" + name
}

// Page is the http or https URL of a stream, likewise without a port.
func (s *Stack) Page(scheme string, pair Pair, name string) string {
	return scheme + "://" + pair.Play() + "/" + app + "/" + name
}

// Standard is the http or https URL of a stream on the standard play domain, likewise; the suffix is .flv or .m3u8.
func (s *Stack) Standard(scheme string, pair Pair, name, suffix string) string {
	return scheme + "://" + pair.Standard() + "/" + app + "/" + name + suffix
}

// Sign signs a play URL of the pair Signed.
func (s *Stack) Sign(play string) (string, error) {
	u, err := url.Parse(play)
	if err != nil {
		return "", fmt.Errorf("parsing %s: %w", play, err)
	}
	signed, err := urlauth.Sign(plan.Auth{Type: plan.AuthA, Primary: playKey}, u, time.Now())
	if err != nil {
		return "", fmt.Errorf("signing %s: %w", play, err)
	}
	return strings.TrimSpace(signed.String()), nil
}
