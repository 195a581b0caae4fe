// Package pods tests the roles as processes of the built command on loopback: as pods are, without Kubernetes.
package pods

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/millrace/millrace/dataplane/pod"
	"github.com/millrace/millrace/dataplane/relay"
	"github.com/millrace/millrace/internal/contract"
	"github.com/millrace/millrace/internal/contract/bundle"
	"github.com/millrace/millrace/internal/contract/plan"
	"github.com/millrace/millrace/internal/play"
	"github.com/millrace/millrace/internal/play/join"
	"github.com/millrace/millrace/internal/play/lean"
	"github.com/millrace/millrace/internal/testkit"
	"github.com/millrace/millrace/internal/testkit/testca"
	"github.com/millrace/millrace/internal/testsrc"
)

const (
	class  = "default"
	region = "local"
	push   = "push.example.com"
	rts    = "rts.example.com"
)

// binary is the built command.
func binary(t *testing.T) string {
	t.Helper()
	path, err := build()
	if err != nil {
		t.Fatal(err)
	}
	return path
}

var build = sync.OnceValues(func() (string, error) {
	if path := os.Getenv("MILLRACE_BINARY"); path != "" {
		return path, nil
	}
	dir, err := os.MkdirTemp("", "millrace-pods-")
	if err != nil {
		return "", err
	}
	path := filepath.Join(dir, "millrace")
	out, err := exec.Command("go", "build", "-o", path, "github.com/millrace/millrace").CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("%w: %s", err, out)
	}
	return path, nil
})

func TestMain(m *testing.M) {
	code := m.Run()
	if path, err := build(); err == nil && os.Getenv("MILLRACE_BINARY") == "" {
		_ = os.RemoveAll(filepath.Dir(path))
	}
	os.Exit(code)
}

// region of processes: an authority, Plans by role, and fixed peers.
type cluster struct {
	t     *testing.T
	ca    *testca.Authority
	dir   string
	peers []string
	port  int // the last that was given away
}

func newCluster(t *testing.T) *cluster {
	t.Helper()
	testkit.NeedFFmpeg(t)
	ca, err := testca.New()
	if err != nil {
		t.Fatal(err)
	}
	return &cluster{t: t, ca: ca, dir: t.TempDir(), port: firstPort}
}

// service is a Plan with one push domain that feeds one RTS play domain, and more play domains to fill it.
func service(more int) *plan.Plan {
	p := &plan.Plan{
		Class: class,
		Push: []plan.PushDomain{{
			Hostname: push, Space: rts, Auth: plan.Auth{Type: plan.AuthNone}, BFrames: plan.Warn, H265: plan.Warn,
			MaxGOP: 3 * time.Second, Duplicate: plan.ReplaceOld,
		}},
		Play: []plan.PlayDomain{
			{Hostname: rts, Type: plan.RTS, Role: plan.Main, Space: rts, Auth: plan.Auth{Type: plan.AuthNone}},
		},
	}
	for i := range more {
		host := fmt.Sprintf("more%02d.example.com", i)
		p.Play = append(
			p.Play,
			plan.PlayDomain{Hostname: host, Type: plan.RTS, Role: plan.Main, Space: host, Auth: plan.Auth{Type: plan.AuthNone}},
		)
	}
	return p
}

func (c *cluster) planDir(role contract.Role) string {
	return filepath.Join(c.dir, "plan-"+string(role))
}

// deliver writes a Plan as the kubelet does: into a new folder, to which a link is swapped.
func (c *cluster) deliver(role contract.Role, p *plan.Plan, shrink bool) string {
	c.t.Helper()
	secrets, hash, err := bundle.Encode(p, bundle.Pool{Role: role, Region: region, AllowShrink: shrink})
	if err != nil {
		c.t.Fatal(err)
	}
	dir := c.planDir(role)
	next := filepath.Join(dir, "..version"+strconv.FormatInt(time.Now().UnixNano(), 36))
	for n, keys := range secrets {
		folder := filepath.Join(next, strconv.Itoa(n))
		if err := os.MkdirAll(folder, 0o700); err != nil {
			c.t.Fatal(err)
		}
		for key, value := range keys {
			if err := os.WriteFile(filepath.Join(folder, key), value, 0o600); err != nil {
				c.t.Fatal(err)
			}
		}
		link := filepath.Join(dir, strconv.Itoa(n))
		if _, err := os.Lstat(link); err != nil {
			if err := os.Symlink(filepath.Join("..data", strconv.Itoa(n)), link); err != nil {
				c.t.Fatal(err)
			}
		}
	}
	swap := filepath.Join(dir, "..data_tmp")
	if err := os.Symlink(filepath.Base(next), swap); err != nil {
		c.t.Fatal(err)
	}
	if err := os.Rename(swap, filepath.Join(dir, "..data")); err != nil {
		c.t.Fatal(err)
	}
	return hash
}

// proc is a running pod.
type proc struct {
	c        *cluster
	name     string
	role     contract.Role
	cmd      *exec.Cmd
	done     chan struct{}
	err      error
	internal int
	rtsp     int
	admin    int
	rtmp     int
	http     int
	out      testkit.Output
}

// Ports are taken from below those that the kernel gives to whoever does not choose (ip_local_port_range): a pod may be
// started long after its port was chosen.
const firstPort, lastPort = 20000, 30000

// freePort returns a port that is free now, and no other of the cluster's.
func (c *cluster) freePort() int {
	c.t.Helper()
	for c.port < lastPort {
		c.port++
		l, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", c.port))
		if err != nil {
			continue // somebody has it
		}
		if err := l.Close(); err != nil {
			c.t.Fatal(err)
		}
		return c.port
	}
	c.t.Fatalf("no port from %d to %d is free", firstPort, lastPort)
	return 0
}

// place returns a pod its ports and makes it known to those that start later, without starting it.
func (c *cluster) place(role contract.Role, name string) *proc {
	c.t.Helper()
	p := &proc{
		c:        c,
		name:     name,
		role:     role,
		internal: c.freePort(),
		rtsp:     c.freePort(),
		admin:    c.freePort(),
		rtmp:     c.freePort(),
		http:     c.freePort(),
	}
	c.peers = append(c.peers, fmt.Sprintf("%s=127.0.0.1:%d/%d", role, p.internal, p.rtsp))
	return p
}

// start runs a pod and waits until it is ready.
func (p *proc) start(args ...string) *proc {
	p.c.t.Helper()
	p.run(p.c.ca, args...)
	p.wait("it is ready", p.ready)
	return p
}

// run runs a pod with an identity that an authority issues.
func (p *proc) run(by *testca.Authority, args ...string) {
	t := p.c.t
	t.Helper()
	tls, state := filepath.Join(p.c.dir, "tls-"+p.name), filepath.Join(p.c.dir, "state-"+p.name)
	if err := by.Write(tls, contract.Identity{Class: class, Role: p.role}, p.c.ca); err != nil {
		t.Fatal(err)
	}
	if err := os.MkdirAll(state, 0o700); err != nil {
		t.Fatal(err)
	}
	all := []string{
		string(
			p.role,
		), "-v", "1", "--class", class, "--region", region, "--pod", p.name, "--kubernetes=false", "--address", "127.0.0.1",
		"--admin-address", "127.0.0.1",
		"--plan-dir", p.c.planDir(p.role), "--tls-dir", tls, "--state-dir", state, "--peers", strings.Join(p.c.peers, ","),
		contract.FlagInt(
			contract.FlagInternalPort,
			p.internal,
		), contract.FlagInt(contract.FlagRTSPPort, p.rtsp), contract.FlagInt(contract.FlagAdminPort, p.admin),
	}
	switch p.role {
	case contract.Ingest:
		all = append(all, contract.FlagInt(contract.FlagRTMPPort, p.rtmp), contract.FlagInt(contract.FlagRTMPSPort, -1))
	case contract.Edge:
		all = append(all, contract.FlagInt(contract.FlagHTTPPort, p.http), contract.FlagInt(contract.FlagHTTPSPort, -1),
			contract.FlagInt(contract.FlagRTMPPort, p.rtmp), contract.FlagInt(contract.FlagRTMPSPort, -1))
	case contract.Relay:
		all = append(
			all,
			contract.FlagInt(contract.FlagHTTPPort, p.http),
			contract.FlagInt(contract.FlagHTTPSPort, -1),
			contract.FlagInt(contract.FlagMediaPort, 0),
			"--media-listen",
			"127.0.0.1",
			"--max-cpu",
			"0",
		)
	}
	p.cmd = exec.Command(binary(t), append(all, args...)...)
	p.cmd.Stdout, p.cmd.Stderr = &p.out, &p.out
	if err := startWithUs(p.cmd); err != nil {
		t.Fatal(err)
	}
	p.done = make(chan struct{})
	done, cmd := p.done, p.cmd
	go func() {
		p.err = cmd.Wait()
		close(done)
	}()
	t.Cleanup(func() {
		_ = cmd.Process.Kill() // it may have ended
		<-done
		if t.Failed() {
			t.Logf("%s said:\n%s", p.name, p.out.String())
		}
	})
}

// startWithUs starts a command that ends with this process, whatever happens.
func startWithUs(cmd *exec.Cmd) error {
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	started := make(chan error)
	go func() {
		runtime.LockOSThread() // the parent of Pdeathsig is the thread: it stays
		started <- cmd.Start()
		select {}
	}()
	return <-started
}

func (p *proc) get(path string) (int, string) {
	client := &http.Client{Timeout: 5 * time.Second}
	res, err := client.Get(fmt.Sprintf("http://127.0.0.1:%d%s", p.admin, path))
	if err != nil {
		return 0, err.Error()
	}
	defer res.Body.Close()
	var b bytes.Buffer
	_, _ = b.ReadFrom(res.Body) // the status says enough
	return res.StatusCode, b.String()
}

func (p *proc) ready() bool {
	code, _ := p.get(contract.PathReady)
	return code == http.StatusOK
}

func (p *proc) state() pod.State {
	var s pod.State
	if code, text := p.get(contract.PathState); code == http.StatusOK {
		_ = json.Unmarshal([]byte(text), &s) // an empty state says as much
	}
	return s
}

// wait waits for a condition while the pod runs.
func (p *proc) wait(what string, until func() bool) {
	p.c.t.Helper()
	testkit.Eventually(p.c.t, p.name+": "+what, until)
}

// kill ends a pod as a crash of its node does.
func (p *proc) kill() {
	_ = p.cmd.Process.Kill() // it runs
	<-p.done
}

func (p *proc) term() { _ = p.cmd.Process.Signal(syscall.SIGTERM) } // it runs

// publish publishes a stream to a pod.
func (p *proc) publish(name string, o testsrc.Options) *testsrc.Publisher {
	t := p.c.t
	t.Helper()
	o.URL = fmt.Sprintf("rtmp://127.0.0.1:%d/live/%s?vhost=%s", p.rtmp, name, push)
	if o.Width == 0 {
		o.Width, o.Height, o.FPS, o.BitrateKbps = 320, 180, 15, 200
	}
	ctx, cancel := context.WithCancel(context.Background())
	one, err := testsrc.Publish(ctx, o)
	if err != nil {
		cancel()
		t.Fatal(err)
	}
	t.Cleanup(func() { cancel(); <-one.Done() })
	return one
}

func (p *proc) announces(name string) bool {
	for _, s := range p.state().Announced {
		if s.Name == name && s.State == "Live" && s.Facts.VideoCodec != 0 {
			return true
		}
	}
	return false
}

// audience is viewers of one stream.
type audience struct {
	t      *testing.T
	relay  *proc
	stop   context.CancelFunc
	report chan *play.Report
	mu     sync.Mutex
	now    play.Progress
}

// watch lets viewers play a stream from a pod until they are stopped.
func (p *proc) watch(name string, viewers int) *audience {
	p.c.t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	a := &audience{t: p.c.t, relay: p, stop: cancel, report: make(chan *play.Report, 1)}
	go func() {
		r, err := play.Run(ctx, play.Options{
			URL: "http://" + rts + "/live/" + name, Join: join.Options{Connect: fmt.Sprintf("127.0.0.1:%d", p.http)},
			Viewers: viewers, Wait: testkit.Patience(), Lean: true, Decrypt: lean.DecryptAll, ReadBuffer: 1 << 20,
			Progress: func(now play.Progress) {
				a.mu.Lock()
				defer a.mu.Unlock()
				a.now = now
			},
		})
		if err != nil {
			p.c.t.Error(err)
		}
		a.report <- r
	}()
	p.c.t.Cleanup(cancel)
	return a
}

func (a *audience) progress() play.Progress {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.now
}

// sent counts the packets that a relay has sent to those who watch now.
func (p *proc) sent() (packets uint64, sessions int) {
	var s struct{ Sessions []relay.SessionInfo }
	if code, text := p.get(contract.PathState); code == http.StatusOK {
		_ = json.Unmarshal([]byte(text), &s) // nobody watches then
	}
	for _, one := range s.Sessions {
		packets += one.Packets
	}
	return packets, len(s.Sessions)
}

// playing waits until all viewers have had pictures, and get more now.
func (a *audience) playing(viewers int) {
	a.t.Helper()
	before, _ := a.relay.sent()
	testkit.Eventually(a.t, "all viewers play", func() bool {
		packets, sessions := a.relay.sent()
		return a.progress().Playing == viewers && sessions >= viewers && packets > before+uint64(5*viewers)
	})
}

// frozen waits until no pictures come, and the viewers are there still.
func (a *audience) frozen(viewers int) {
	a.t.Helper()
	last, since := uint64(0), time.Now()
	testkit.Eventually(a.t, "no picture comes", func() bool {
		packets, sessions := a.relay.sent()
		if packets != last || sessions != viewers {
			last, since = packets, time.Now()
		}
		return time.Since(since) > 500*time.Millisecond && a.progress().Ended == 0
	})
}

// end stops the viewers.
func (a *audience) end() *play.Report {
	a.stop()
	return <-a.report
}
