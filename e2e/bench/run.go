package main

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync/atomic"
	"time"
)

// result is one case of one server.
type result struct {
	Server          string  `json:"server"`
	Viewers         int     `json:"viewers"`
	Mbps            float64 `json:"mbps"`
	MicrosPerPacket float64 `json:"cpuMicrosPerPacket"` // CPU of the server process per packet that it sent
	PacketsPerCall  float64 `json:"packetsPerCall"`
	CPU             float64 `json:"cpuShare"`        // of one core
	KBPerViewer     float64 `json:"kBPerViewer"`     // growth of the resident set by the viewers
	MallocsPerFrame float64 `json:"mallocsPerFrame"` // of the whole process
	JoinP50         float64 `json:"joinMsP50"`       // offer to first packet
	JoinP95         float64 `json:"joinMsP95"`
	// frame made to frame complete at the client, after all have joined
	LatencyP50 float64 `json:"latencyMsP50,omitempty"`
	LatencyP99 float64 `json:"latencyMsP99,omitempty"`
	// the same of the time before, with all handshakes on this machine
	JoiningP99 float64 `json:"latencyMsP99Joining,omitempty"`
	Lost       uint64  `json:"lost"`  // of the whole case, joins included
	Drops      uint64  `json:"drops"` // of the viewers' own sockets, repaired or not
	Received   uint64  `json:"received"`
	Error      string  `json:"error,omitempty"`
}

// child is a running server process.
type child struct {
	cmd   *exec.Cmd
	stdin io.Closer
	addr  string
}

func startServer(ctx context.Context, kind string, o options, mbps float64, sinks []string) (*child, error) {
	exe, err := os.Executable()
	if err != nil {
		return nil, fmt.Errorf("finding this program: %w", err)
	}
	args := []string{"serve", kind, "--mbps", strconv.FormatFloat(mbps, 'f', -1, 64), "--srtp", o.srtp}
	if len(sinks) > 0 {
		args = append(args, "--sinks", strings.Join(sinks, ","))
	}
	c := &child{cmd: exec.CommandContext(ctx, exe, args...)}
	c.cmd.Stderr = os.Stderr
	if c.stdin, err = c.cmd.StdinPipe(); err != nil {
		return nil, fmt.Errorf("starting server %s: %w", kind, err)
	}
	out, err := c.cmd.StdoutPipe()
	if err != nil {
		return nil, fmt.Errorf("starting server %s: %w", kind, err)
	}
	if err := c.cmd.Start(); err != nil {
		return nil, fmt.Errorf("starting server %s: %w", kind, err)
	}
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		c.stop()
		return nil, fmt.Errorf("server %s did not say where it listens: %w", kind, err)
	}
	c.addr = strings.TrimSpace(line)
	return c, nil
}

func (c *child) stop() {
	_ = c.stdin.Close()
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = c.cmd.Wait()
	}()
	select {
	case <-done:
	case <-time.After(5 * time.Second):
		_ = c.cmd.Process.Kill()
		<-done
	}
}

func (c *child) counts(ctx context.Context) (counts, error) { return c.ask(ctx, "") }

func (c *child) ask(ctx context.Context, query string) (n counts, err error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+c.addr+"/-/counts"+query, http.NoBody)
	if err != nil {
		return n, fmt.Errorf("asking the server: %w", err)
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return n, fmt.Errorf("asking the server: %w", err)
	}
	defer res.Body.Close()
	if err := json.NewDecoder(res.Body).Decode(&n); err != nil {
		return n, fmt.Errorf("asking the server: %w", err)
	}
	return n, nil
}

// measure runs one case.
func measure(ctx context.Context, kind string, o options, viewers int, mbps float64) (result, error) {
	r := result{Server: kind, Viewers: viewers, Mbps: mbps}
	var sinks []string
	var received atomic.Uint64
	if kind == "floor" {
		var closeAll func()
		var err error
		if sinks, closeAll, err = openSinks(ctx, viewers, &received); err != nil {
			return r, err
		}
		defer closeAll()
	}
	c, err := startServer(ctx, kind, o, mbps, sinks)
	if err != nil {
		return r, err
	}
	defer c.stop()
	settle(ctx, 500*time.Millisecond)
	before, err := c.counts(ctx)
	if err != nil {
		return r, err
	}
	var a *audience
	if kind != "floor" {
		if a, err = newAudience(ctx, c.addr, false, o.srtp); err != nil {
			return r, err
		}
		defer a.leave()
		a.join(viewers, time.Duration(viewers)*10*time.Millisecond)
	}
	if err := c.await(ctx, viewers); err != nil {
		r.Error = err.Error()
		return r, nil
	}
	settle(ctx, 3*time.Second) // the bursts of the joins are over
	from, err := c.counts(ctx)
	if err != nil {
		return r, err
	}
	began := a.sum()
	settle(ctx, time.Duration(o.seconds)*time.Second)
	to, err := c.counts(ctx)
	if err != nil {
		return r, err
	}
	ended := a.sum()
	cpu, packets := to.CPUSeconds-from.CPUSeconds, float64(to.Packets-from.Packets)
	r.MicrosPerPacket = cpu * 1e6 / packets
	r.PacketsPerCall = packets / float64(to.Calls-from.Calls)
	r.CPU = cpu / float64(o.seconds)
	r.KBPerViewer = float64(to.RSS-before.RSS) / 1000 / float64(viewers)
	r.MallocsPerFrame = float64(to.Mallocs-from.Mallocs) / (float64(o.seconds) / frameTime.Seconds())
	if kind == "floor" {
		r.Received = received.Load()
		if to.Failed > 0 {
			return r, fmt.Errorf("the kernel refused %d messages of the floor", to.Failed)
		}
		return r, nil
	}
	r.Lost, r.Drops, r.Received = ended.lost, ended.drops, ended.packets
	r.JoiningP99 = quantile(&sum{}, began, 0.99)
	r.LatencyP50, r.LatencyP99 = quantile(began, ended, 0.5), quantile(began, ended, 0.99)
	r.JoinP50, r.JoinP95 = a.joinTimes()
	return r, nil
}

// await waits until all viewers are connected.
func (c *child) await(ctx context.Context, viewers int) error {
	ctx, cancel := context.WithTimeout(ctx, 60*time.Second)
	defer cancel()
	n := counts{}
	for n.Viewers < viewers {
		var err error
		if n, err = c.counts(ctx); err != nil {
			return fmt.Errorf("%d of %d viewers connected: %w", n.Viewers, viewers, err)
		}
		settle(ctx, 100*time.Millisecond)
	}
	return nil
}

// openSinks opens sockets that read and forget.
func openSinks(ctx context.Context, n int, received *atomic.Uint64) (addrs []string, closeAll func(), err error) {
	var conns []*net.UDPConn
	closeAll = func() {
		for _, c := range conns {
			_ = c.Close()
		}
	}
	for range n {
		conn, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
		if err != nil {
			closeAll()
			return nil, nil, fmt.Errorf("opening a sink: %w", err)
		}
		_ = conn.SetReadBuffer(4 << 20)
		conns = append(conns, conn)
		addrs = append(addrs, conn.LocalAddr().String())
		go func() {
			b := make([]byte, 2048)
			for ctx.Err() == nil {
				if _, _, err := conn.ReadFromUDPAddrPort(b); err != nil {
					return
				}
				received.Add(1)
			}
		}()
	}
	return addrs, closeAll, nil
}

// settle waits.
func settle(ctx context.Context, d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
	case <-t.C:
	}
}
