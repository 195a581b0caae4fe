package pull

import (
	"context"
	"os/exec"
	"strings"
	"testing"

	"github.com/millrace/millrace/internal/testkit"
	"github.com/millrace/millrace/internal/testsrc"
)

// tool runs a program of ffmpeg's and gives what it says.
func tool(t *testing.T, name string, args ...string) (stdout, stderr string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 2*testkit.Patience())
	defer cancel()
	cmd := exec.CommandContext(ctx, name, args...)
	var out, problems strings.Builder
	cmd.Stdout, cmd.Stderr = &out, &problems
	if err := cmd.Run(); err != nil {
		t.Fatalf("%s: %v: %s", name, err, problems.String())
	}
	return out.String(), problems.String()
}

// Any RTSP tool can look at a stream, and notices its end.
func TestFFmpegReads(t *testing.T) {
	h := newHub(t)
	source := encode(t, h, testsrc.Options{Audio: true})
	r := serve(t, h, nil)
	url := "rtsp://" + r.address + streamPath

	shown, _ := tool(
		t,
		"ffprobe",
		"-v",
		"error",
		"-rtsp_transport",
		"tcp",
		"-show_entries",
		"stream=codec_name,width,height,sample_rate",
		"-of",
		"compact",
		url,
	)
	for _, want := range []string{"codec_name=h264|width=320|height=180", "codec_name=aac|sample_rate=48000"} {
		if !strings.Contains(shown, want) {
			t.Errorf("ffprobe says %q, want %q in it", shown, want)
		}
	}
	if _, problems := tool(t, "ffmpeg", "-v", "error", "-rtsp_transport", "tcp", "-i", url, "-t", "2", "-f", "null",
		"-"); problems != "" {
		t.Errorf("ffmpeg decodes with errors: %s", problems)
	}
	until := make(chan string, 1)
	go func() {
		_, problems := tool(t, "ffmpeg", "-v", "error", "-rtsp_transport", "tcp", "-i", url, "-f", "null", "-")
		until <- problems
	}()
	sent := r.count(t, "millrace_pull_sent_packets_total", "")
	testkit.Eventually(
		t,
		"ffmpeg reads",
		func() bool { return r.count(t, "millrace_pull_sent_packets_total", "") > sent+100 },
	)
	source.Stop(testkit.Patience())
	if problems := <-until; problems != "" {
		t.Errorf("ffmpeg reads to the end of the stream with errors: %s", problems)
	}
}

func TestFFmpegReadsBFrames(t *testing.T) {
	h := newHub(t)
	encode(t, h, testsrc.Options{BFrames: 2})
	url := "rtsp://" + serve(t, h, nil).address + streamPath
	if _, problems := tool(t, "ffmpeg", "-v", "error", "-rtsp_transport", "tcp", "-i", url, "-t", "2", "-f", "null",
		"-"); problems != "" {
		t.Errorf("ffmpeg decodes with errors: %s", problems)
	}
}
