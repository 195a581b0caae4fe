package standalone

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/go-logr/logr/testr"

	"github.com/millrace/millrace/internal/play"
	"github.com/millrace/millrace/internal/play/join"
	"github.com/millrace/millrace/internal/play/lean"
	"github.com/millrace/millrace/internal/testkit"
	"github.com/millrace/millrace/internal/testsrc"
)

// process is a standalone process in the test's own.
type process struct {
	t    *testing.T
	dir  string
	out  *testkit.Output
	at   Addresses
	end  context.CancelFunc
	done chan error
}

func start(t *testing.T, manifests string, change func(*Options)) *process {
	t.Helper()
	p := &process{t: t, dir: t.TempDir(), out: &testkit.Output{}, done: make(chan error, 1)}
	p.write("service.yaml", manifests)
	started := make(chan Addresses, 1)
	opt := Options{
		Manifests: []string{
			p.dir,
		}, Log: testr.New(t), Out: p.out, Address: "127.0.0.1", RTMPSPort: -1, HTTPSPort: -1, AdminAddr: "127.0.0.1:0",
		MediaListen: []netip.Addr{netip.MustParseAddr("127.0.0.1")}, Started: func(a Addresses) { started <- a },
	}
	if change != nil {
		change(&opt)
	}
	ctx, cancel := context.WithCancel(context.Background())
	p.end = cancel
	go func() { p.done <- Run(ctx, opt) }()
	t.Cleanup(p.stop)
	select {
	case p.at = <-started:
	case err := <-p.done:
		p.done <- err
		t.Fatalf("start: %v\n%s", err, p.out)
	case <-time.After(testkit.Patience()):
		t.Fatal("it does not start")
	}
	return p
}

// stop ends the process as SIGTERM does.
func (p *process) stop() {
	p.end()
	select {
	case err := <-p.done:
		if err != nil {
			p.t.Errorf("the end: %v", err)
		}
		p.done <- nil
	case <-time.After(testkit.Patience()):
		p.t.Error("it does not end")
	}
}

// write replaces a manifest at once, as editors do.
func (p *process) write(name, text string) {
	p.t.Helper()
	next := filepath.Join(p.t.TempDir(), name)
	if err := os.WriteFile(next, []byte(text), 0o600); err != nil {
		p.t.Fatal(err)
	}
	if err := os.Rename(next, filepath.Join(p.dir, name)); err != nil {
		p.t.Fatal(err)
	}
}

func (p *process) awaitOutput(text string) {
	p.t.Helper()
	testkit.Eventually(
		p.t,
		fmt.Sprintf("%q in the output", text),
		func() bool { return strings.Contains(p.out.String(), text) },
	)
}

func (p *process) state() State {
	p.t.Helper()
	res, err := http.Get("http://" + p.at.Admin.String() + "/state")
	if err != nil {
		p.t.Fatal(err)
	}
	defer res.Body.Close()
	var s State
	if err := json.NewDecoder(res.Body).Decode(&s); err != nil {
		p.t.Fatal(err)
	}
	return s
}

// publish publishes the test picture and waits until the stream is there.
func (p *process) publish(domain string, opt testsrc.Options) *testsrc.Publisher {
	p.t.Helper()
	return p.publishWith(domain, "", opt)
}

// publishWith publishes with a query behind the domain.
func (p *process) publishWith(domain, query string, opt testsrc.Options) *testsrc.Publisher {
	p.t.Helper()
	testkit.NeedFFmpeg(p.t)
	opt.URL = fmt.Sprintf("rtmp://%s/live/stream?vhost=%s%s", p.at.RTMP, domain, query)
	pub, err := testsrc.Publish(p.t.Context(), opt)
	if err != nil {
		p.t.Fatal(err)
	}
	testkit.Eventually(p.t, "the stream", func() bool {
		for _, s := range p.state().Streams {
			if s.Domain == domain && s.Live && s.Source.FPS > 0 {
				return true
			}
		}
		return false
	})
	return pub
}

// watch plays with viewers until the duration or the test is over.
func (p *process) watch(domain string, viewers int, d time.Duration) <-chan *play.Report {
	return p.watchFrom(domain, "", viewers, d)
}

func (p *process) watchFrom(domain, query string, viewers int, d time.Duration) <-chan *play.Report {
	reports := make(chan *play.Report, 1)
	ended := make(chan struct{})
	p.t.Cleanup(func() { <-ended }) // before the server ends, and before another test's begins
	go func() {
		defer close(ended)
		r, err := play.Run(p.t.Context(), play.Options{
			URL: "artc://" + domain + "/live/stream" + query, Join: join.Options{Connect: p.at.HTTP.String()}, Viewers: viewers,
			Duration: d,
			Lean:     true, Decrypt: lean.DecryptSample, ReadBuffer: 4 << 20, Wait: testkit.Patience(),
		})
		if err != nil {
			p.t.Error(err)
		}
		reports <- r
	}()
	return reports
}

const quickstart = `
apiVersion: live.millrace.dev/v1alpha1
kind: PushDomain
metadata: {name: push}
spec: {hostname: push.example.com}
---
apiVersion: live.millrace.dev/v1alpha1
kind: PlayDomain
metadata: {name: rts}
spec: {hostname: rts.example.com, type: RTS}
---
apiVersion: live.millrace.dev/v1alpha1
kind: DomainAssociation
metadata: {name: a}
spec: {type: PushToPlay, pushDomainRef: {name: push}, mainPlayDomainRef: {name: rts}}
`

func TestServesWhatTheManifestsSay(t *testing.T) {
	p := start(t, quickstart, nil)
	for _, want := range []string{
		"DOMAIN", "push.example.com  Push  -     rts.example.com  Accepted", "artc://rts.example.com:" +
			fmt.Sprint(p.at.HTTP.Port()) + "/live/stream", "?vhost=push.example.com",
	} {
		if !strings.Contains(p.out.String(), want) {
			t.Errorf("the start does not show %q:\n%s", want, p.out)
		}
	}
	p.publish("push.example.com", testsrc.Options{})
	r := <-p.watch("rts.example.com", 3, 4*time.Second)
	if err := r.Failure(); err != nil {
		t.Fatal(err)
	}
	if r.Total.Lost != 0 || r.LatencyMs == nil {
		t.Errorf("%d packets lost, latency %v", r.Total.Lost, r.LatencyMs)
	}
	res, err := http.Get("http://" + p.at.Admin.String() + "/metrics")
	if err != nil {
		t.Fatal(err)
	}
	_ = res.Body.Close()
	if res.StatusCode != 200 {
		t.Errorf("metrics: %s", res.Status)
	}
}

// SIGTERM tells the players and ends cleanly, with people watching.
func TestEndDrains(t *testing.T) {
	p := start(t, quickstart, nil)
	p.publish("push.example.com", testsrc.Options{})
	reports := p.watch("rts.example.com", 3, time.Hour)
	testkit.Eventually(t, "three viewers", func() bool { return connected(p.state()) == 3 })
	p.stop()
	r := <-reports
	if len(r.Endings) == 0 || r.Playing != 3 {
		t.Fatalf("%d of 3 played, endings %v", r.Playing, r.Endings)
	}
	for _, e := range r.Endings {
		if !strings.Contains(e.Reason, "server") {
			t.Errorf("a viewer ended by %q", e.Reason)
		}
	}
}

// A request whose body does not come holds nobody else up.
func TestSlowRequestDoesNotHoldUpTheDrain(t *testing.T) {
	p := start(t, quickstart, func(o *Options) { o.DrainTime = testkit.Patience() })
	p.publish("push.example.com", testsrc.Options{})
	reports := p.watch("rts.example.com", 2, time.Hour)
	testkit.Eventually(t, "two viewers", func() bool { return connected(p.state()) == 2 })
	slow, err := net.Dial("tcp", p.at.HTTP.String())
	if err != nil {
		t.Fatal(err)
	}
	defer slow.Close()
	fmt.Fprint(
		slow,
		"POST /live/stream HTTP/1.1\r\nHost: rts.example.com\r\nContent-Type: application/sdp\r\nContent-Length: "+
			"1000\r\nExpect: 100-continue\r\n\r\n",
	)
	_ = slow.SetReadDeadline(time.Now().Add(testkit.Patience()))
	// it waits for the body now
	if _, err := io.ReadFull(slow, make([]byte, len("HTTP/1.1 100 Continue\r\n\r\n"))); err != nil {
		t.Fatal(err)
	}
	p.end()
	<-reports
	_ = slow.SetReadDeadline(time.Now().Add(time.Millisecond))
	if n, err := slow.Read(make([]byte, 1)); n > 0 || !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("the viewers were kept until the request was over: %d, %v", n, err)
	}
	_ = slow.Close()
	p.stop()
}

func connected(s State) int {
	n := 0
	for _, one := range s.Sessions {
		if one.Connected {
			n++
		}
	}
	return n
}

func TestBrokenFileKeepsTheLastGoodState(t *testing.T) {
	p := start(t, quickstart, nil)
	p.publish("push.example.com", testsrc.Options{})
	p.write("service.yaml", strings.Replace(quickstart, "type: RTS", "type: Fast", 1))
	p.awaitOutput("Kept the last good state")
	if !strings.Contains(p.out.String(), "spec.type") {
		t.Errorf("the error is not shown:\n%s", p.out)
	}
	if r := <-p.watch("rts.example.com", 1, time.Second); r.Failure() != nil {
		t.Fatal(r.Failure())
	}
	p.write("service.yaml", strings.Replace(quickstart, "type: RTS", "type: RTS, limits: {maxViewers: 7}", 1))
	p.awaitOutput("MaxViewers")
}

func TestHostsThatAreNotServed(t *testing.T) {
	p := start(t, quickstart+`
---
apiVersion: live.millrace.dev/v1alpha1
kind: PlayDomain
metadata: {name: std}
spec: {hostname: play.example.com, type: Standard}
`, nil)
	get := func(host, accept string) (int, string) {
		req, err := http.NewRequest("GET", "http://"+p.at.HTTP.String()+"/live/stream", nil)
		if err != nil {
			t.Fatal(err)
		}
		req.Host = host
		req.Header.Set("Accept", accept)
		res, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		defer res.Body.Close()
		return res.StatusCode, res.Header.Get("Content-Type")
	}
	for host, want := range map[string]int{
		"rts.example.com": 200, "RTS.example.com:8080": 200, "push.example.com": 404, "play.example.com": 200,
		"other.example.com": 404, p.at.HTTP.String(): 404,
	} {
		if code, _ := get(host, "text/html"); code != want {
			t.Errorf("page of %s: %d, want %d", host, code, want)
		}
	}
	if code, contentType := get("rts.example.com", "text/html"); code != 200 ||
		!strings.HasPrefix(contentType, "text/html") {
		t.Errorf("the page is %s", contentType)
	}
}

func TestStartFailsWithTheReason(t *testing.T) {
	taken := start(t, quickstart, nil)
	for name, c := range map[string]struct {
		manifests string
		change    func(*Options)
		want      string
	}{
		"port taken":  {quickstart, func(o *Options) { o.RTMPPort = int(taken.at.RTMP.Port()) }, "--rtmp-port"},
		"media taken": {quickstart, func(o *Options) { o.MediaPort = int(taken.at.Media) }, "--media-port"},
		"broken": {"kind: PushDomain\napiVersion: live.millrace.dev/v1alpha1\nmetadata: {name: a}\nspec: {hostname: " +
			"UPPER}\n", func(*Options) {}, "errors"},
		"no folder": {quickstart, func(o *Options) { o.Manifests = []string{"/does/not/exist"} }, "reading manifests"},
		"nothing":   {quickstart, func(o *Options) { o.Manifests = nil }, "-f"},
	} {
		dir := t.TempDir()
		if err := os.WriteFile(filepath.Join(dir, "a.yaml"), []byte(c.manifests), 0o600); err != nil {
			t.Fatal(err)
		}
		opt := Options{
			Manifests:   []string{dir},
			Log:         testr.New(t),
			Address:     "127.0.0.1",
			RTMPSPort:   -1,
			HTTPSPort:   -1,
			MediaListen: []netip.Addr{netip.MustParseAddr("127.0.0.1")},
		}
		c.change(&opt)
		if err := Run(t.Context(), opt); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
}
