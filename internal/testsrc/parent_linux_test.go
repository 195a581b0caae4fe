package testsrc

import (
	"bufio"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/millrace/millrace/internal/testkit"
)

// TestFFmpegDiesWithItsParent runs this test binary as a parent, kills it, and looks for the ffmpeg that it started.
func TestFFmpegDiesWithItsParent(t *testing.T) {
	if url := os.Getenv("TESTSRC_PARENT_URL"); url != "" {
		p, err := Publish(t.Context(), Options{URL: url, NoVideo: true}) // a picture would end with its pipe in any case
		if err != nil {
			t.Fatal(err)
		}
		fmt.Printf("pid=%d\n", p.PID())
		<-p.Done()
		return
	}
	testkit.NeedFFmpeg(t)
	url, _ := sink(t)
	parent := exec.CommandContext(t.Context(), os.Args[0], "-test.run", "^TestFFmpegDiesWithItsParent$")
	parent.Env = append(os.Environ(), "TESTSRC_PARENT_URL="+url)
	out, err := parent.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := parent.Start(); err != nil {
		t.Fatal(err)
	}
	pid := ""
	for lines := bufio.NewScanner(out); pid == "" && lines.Scan(); {
		pid, _ = strings.CutPrefix(lines.Text(), "pid=")
	}
	if pid == "" {
		t.Fatal("the parent did not start ffmpeg")
	}
	_ = parent.Process.Kill()
	_ = parent.Wait()
	testkit.Eventually(t, "the end of ffmpeg "+pid, func() bool { return !running(pid) })
}

// running reports whether a process is there and not a zombie.
func running(pid string) bool {
	status, err := os.ReadFile("/proc/" + pid + "/status")
	return err == nil && !strings.Contains(string(status), "State:\tZ")
}
