package e2e

import (
	"errors"
	"net/http"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/millrace/millrace/dataplane/standalone"
	"github.com/millrace/millrace/dataplane/transcode"
	"github.com/millrace/millrace/e2e/beep"
	"github.com/millrace/millrace/e2e/viewer"
	"github.com/millrace/millrace/internal/play/join"
	"github.com/millrace/millrace/internal/testkit"
)

// When all transcoding sessions are in use a viewer of one more is told over HTTP when to come back, and those who
// watch notice nothing. Some time after the last viewer no ffmpeg runs, and there is room again.
func TestRenditionsAreBoundAndEnd(t *testing.T) {
	const idle, fps = time.Second, 15
	ctx, s := transcoding(t, func(o *standalone.Options) { o.MaxTranscodes, o.TranscodeIdle = 1, idle })
	for _, name := range []string{"a", "b"} {
		beeping(ctx, t, s, name, beep.Options{BFrames: 2, GOPSeconds: 2, FPS: fps, Width: 480, Height: 270, Kbps: 200})
	}
	var pictures atomic.Int64
	watch := func(name string) (*viewer.Viewer, error) {
		return viewer.Watch(ctx, target(t, s, name), func(f viewer.Frame) {
			if f.Video {
				pictures.Add(1)
			}
		})
	}
	more := func(what string, n int64) {
		t.Helper()
		want := pictures.Load() + n
		testkit.Eventually(t, what, func() bool { return pictures.Load() >= want })
	}
	first, err := watch("a_rts-small")
	if err != nil {
		t.Fatal(err)
	}
	defer first.Close()
	more("pictures of the first rendition", 10)
	before := one(ctx, t, s, 0)

	for _, name := range []string{"b_rts-small", "b_rts-web", "a_rts-hd"} {
		v, err := watch(name)
		if err == nil {
			v.Close()
			t.Errorf("%s is made beyond the limit", name)
			continue
		}
		refused, ok := errors.AsType[*join.StatusError](err)
		if !ok || refused.Status != http.StatusServiceUnavailable || refused.RetryAfter <= 0 ||
			!strings.Contains(refused.Message, "transcoding sessions are in use") {
			t.Errorf("%s: %v, want 503 with Retry-After and the reason", name, err)
		}
	}
	second, err := watch("a_rts-small")
	if err != nil {
		t.Fatalf("a second viewer of the rendition that runs: %v", err)
	}
	defer second.Close()
	more("more pictures for the first viewers", 10)
	if after := one(ctx, t, s, 0); after.PID != before.PID || after.Starts != 1 || after.Problem != "" {
		t.Errorf("the rendition that ran was touched: %+v", after)
	}
	select {
	case <-first.Ended():
		t.Error("the first viewer was disconnected")
	default:
	}

	first.Close()
	more("pictures for the second viewer alone, for longer than a rendition may be idle", 2*fps*int64(idle/time.Second))
	if !running(before.PID) {
		t.Error("ffmpeg ended while somebody watched")
	}
	second.Close()
	testkit.Eventually(t, "the end of ffmpeg", func() bool { return !running(before.PID) })
	testkit.Eventually(t, "the end of the rendition", func() bool {
		all, err := s.Renditions(ctx)
		return err == nil && !slices.ContainsFunc(all, func(i transcode.Info) bool { return i.Rendition == before.Rendition })
	})
	third, err := watch("b_rts-small")
	if err != nil {
		t.Fatalf("there is no room after the end of the other: %v", err)
	}
	defer third.Close()
	more("pictures of the other rendition", 10)
}
