package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"runtime"
	"runtime/debug"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// serverSpec is a server of a case.
type serverSpec struct {
	Kind  string // ours, edge, pion or floor
	Mbps  float64
	SRTP  string
	Sinks []string // floor: where to send
}

// counts is what a server tells of itself.
type counts struct {
	CPUSeconds float64 `json:"cpuSeconds"`
	RSS        int64   `json:"rss"` // bytes
	Collected  int64   `json:"-"`   // RSS after a forced collection, where that was asked for
	Mallocs    uint64  `json:"mallocs"`
	Viewers    int     `json:"viewers"` // connected
	Packets    uint64  `json:"packets"` // sent
	Repeats    uint64  `json:"repeats"` // of them, sent again to viewers that are connected now
	Calls      uint64  `json:"calls"`   // system calls that sent them
	Failed     uint64  `json:"failed"`  // messages that the kernel refused

	Epoch   int64              `json:"epoch,omitempty"`   // edge: when time stamp 0 was, in Unix ns
	Metrics map[string]float64 `json:"metrics,omitempty"` // edge: its own, by name and labels
}

// server is a kind of server. Handle serves signalling; Run sends the stream until the context ends.
type server interface {
	http.Handler
	run(ctx context.Context)
	counts() counts
}

// serve runs a server until standard input ends, as it does when the parent dies.
func serve(ctx context.Context, spec serverSpec) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	var s server
	var err error
	switch spec.Kind {
	case "ours":
		s, err = newOurs(spec)
	case "edge":
		s, err = newStandard(spec)
	case "pion":
		s, err = newStock(spec)
	case "floor":
		s, err = newFloor(spec)
	default:
		err = errors.New("unknown kind of server")
	}
	if err != nil {
		return fmt.Errorf("starting server %s: %w", spec.Kind, err)
	}
	l, err := (&net.ListenConfig{}).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return fmt.Errorf("listening: %w", err)
	}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /-/counts", func(w http.ResponseWriter, req *http.Request) {
		if req.FormValue("collect") == "true" {
			debug.FreeOSMemory()
		}
		_ = json.NewEncoder(w).Encode(measured(s.counts())) // the parent is there
	})
	mux.Handle("/", s)
	web := &http.Server{Handler: mux, ReadHeaderTimeout: 10 * time.Second}
	go func() { _ = web.Serve(l) }()
	go s.run(ctx)
	fmt.Println(l.Addr())
	_, _ = os.Stdin.Read(make([]byte, 1)) // until the parent closes it
	return nil
}

// measured adds what the system knows of this process.
func measured(c counts) counts {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err == nil {
		c.CPUSeconds = (time.Duration(u.Utime.Nano()) + time.Duration(u.Stime.Nano())).Seconds()
	}
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	c.Mallocs = m.Mallocs
	if b, err := os.ReadFile("/proc/self/statm"); err == nil {
		if fields := strings.Fields(string(b)); len(fields) > 1 {
			pages, _ := strconv.ParseInt(fields[1], 10, 64)
			c.RSS = pages * int64(os.Getpagesize())
		}
	}
	return c
}

// frameSize is the size in bytes of frame n: key frames are five times as large as the others.
func frameSize(mbps float64, n int) int {
	perGOP := mbps * 1e6 / 8 * gopFrames * frameTime.Seconds()
	small := perGOP / (gopFrames - 1 + 5)
	if n%gopFrames == 0 {
		return int(5 * small)
	}
	return int(small)
}

// everyFrame calls f for each frame, in time, until the context ends. It tells first when it began.
func everyFrame(ctx context.Context, first func(time.Time), f func(n int)) {
	start := time.Now()
	first(start)
	for n := 0; ; n++ {
		wait := time.NewTimer(time.Until(start.Add(time.Duration(n) * frameTime)))
		select {
		case <-ctx.Done():
			wait.Stop()
			return
		case <-wait.C:
			f(n)
		}
	}
}
