package e2e

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/pion/dtls/v3"

	"github.com/millrace/millrace/dataplane/transcode"
	"github.com/millrace/millrace/e2e/beep"
	"github.com/millrace/millrace/e2e/stack"
	"github.com/millrace/millrace/internal/play/lean"
	"github.com/millrace/millrace/internal/play/meter"
	"github.com/millrace/millrace/internal/testkit"
)

func running(pid int) bool {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	return err == nil && !bytes.Contains(b, []byte(") Z "))
}

// one waits for the only rendition and its process.
func one(ctx context.Context, t *testing.T, s *stack.Stack, other int) transcode.Info {
	t.Helper()
	var found transcode.Info
	testkit.Eventually(t, "a rendition with a process", func() bool {
		all, err := s.Renditions(ctx)
		if err != nil {
			t.Fatal(err)
		}
		if len(all) != 1 || all[0].PID == 0 || all[0].PID == other {
			return false
		}
		found = all[0]
		return true
	})
	return found
}

// rendition publishes a source and starts a rendition of it.
func rendition(ctx context.Context, t *testing.T, s *stack.Stack) {
	t.Helper()
	beeping(ctx, t, s, "cam", beep.Options{BFrames: 3, GOPSeconds: 8, FPS: 15, Width: 320, Height: 180, Kbps: 300})
	if err := s.Await(ctx, stack.Open, "cam_rts-hd", nil); err != nil {
		t.Fatal(err)
	}
}

// kill -9 of ffmpeg: nobody is disconnected, and all have new pictures from a new process.
func TestViewersStayWhenFFmpegIsKilled(t *testing.T) {
	ctx, s := transcoding(t, nil)
	rendition(ctx, t, s)
	engine, err := lean.NewEngine(
		lean.Options{
			Decrypt:    lean.DecryptSample,
			ReadBuffer: 4 << 20,
			Profiles:   []dtls.SRTPProtectionProfile{dtls.SRTP_AEAD_AES_128_GCM},
		},
	)
	if err != nil {
		t.Fatal(err)
	}
	defer engine.Close()
	const viewers = 20
	to := target(t, s, "cam_rts-hd")
	watch, leave := context.WithCancel(ctx)
	defer leave()
	ctx, lost := context.WithCancel(ctx)
	defer lost()
	all := make([]*meter.Viewer, viewers)
	var watches sync.WaitGroup
	for i := range all {
		all[i] = meter.NewViewer(time.Now(), false)
		watches.Go(func() {
			if err := engine.Watch(watch, to, all[i]); err != nil && watch.Err() == nil {
				t.Errorf("viewer %d: %v", i, err)
				lost()
			}
		})
	}
	frames := func(i int) uint64 { s := all[i].Snapshot(time.Now()); return s.DecodableFrames }
	await := func(what string, more uint64, before []uint64) {
		t.Helper()
		testkit.Eventually(t, what, func() bool {
			for i := range all {
				if frames(i) < before[i]+more {
					return false
				}
			}
			return true
		}, func() {
			for i := range all {
				s := all[i].Snapshot(time.Now())
				t.Logf("viewer %d: %d pictures before, %d now; %d packets, %d lost, %d dropped by its socket; %s %s",
					i, before[i], s.DecodableFrames, s.Packets, s.Lost, s.SocketDrops, s.Ended, s.Error)
			}
		})
	}
	before := make([]uint64, viewers)
	await("a picture for all", 30, before)
	pid := one(ctx, t, s, 0).PID
	killed := time.Now()
	if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	again := one(ctx, t, s, pid)
	for i := range all {
		before[i] = frames(i)
	}
	await("new pictures for all", 10, before)
	took := time.Since(killed)
	var gap float64
	for i := range all {
		s := all[i].Snapshot(time.Now())
		gap = max(gap, s.LongestGapMs)
		if s.Ended != "" || s.Error != "" {
			t.Errorf("viewer %d: ended %q, error %q", i, s.Ended, s.Error)
		}
	}
	if again.Starts != 2 {
		t.Errorf("%+v", again)
	}
	leave()
	watches.Wait()
	t.Logf(
		"10 pictures of the new process for each of %d viewers %d ms after kill -9; the longest time without a picture "+
			"was %.0f ms",
		viewers,
		took.Milliseconds(),
		gap,
	)
}

// TestServer is no test: as another process it serves until it is killed.
func TestServer(t *testing.T) {
	if os.Getenv("MILLRACE_TEST_SERVER") == "" {
		return
	}
	ctx, s := transcoding(t, nil)
	rendition(ctx, t, s)
	fmt.Printf("ffmpeg %d\n", one(ctx, t, s, 0).PID)
	<-ctx.Done()
}

// kill -9 of millrace: its ffmpeg does not survive.
func TestNoFFmpegSurvivesTheServer(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), limit)
	defer cancel()
	cmd := exec.CommandContext(ctx, os.Args[0], "-test.run", "^TestServer$")
	cmd.Env = append(os.Environ(), "MILLRACE_TEST_SERVER=1")
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	pid := 0
	for lines := bufio.NewScanner(out); pid == 0 && lines.Scan(); {
		if text, ok := strings.CutPrefix(lines.Text(), "ffmpeg "); ok {
			fmt.Sscan(text, &pid)
		}
	}
	if pid == 0 || !running(pid) {
		t.Fatalf("there is no ffmpeg %d", pid)
	}
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait() // killed
	testkit.Eventually(t, "the end of ffmpeg", func() bool { return !running(pid) })
}
