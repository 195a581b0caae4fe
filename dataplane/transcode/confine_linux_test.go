package transcode

import (
	"fmt"
	"os"
	"regexp"
	"testing"
)

// What decodes a stranger's media is bounded, and has no network and no user of ours where the kernel lets us.
func TestChildrenAreConfined(t *testing.T) {
	s := newSpawner()
	defer s.close()
	p, err := s.run("/bin/sleep", []string{"600"}, confinement{memory: 64 << 20})
	if err != nil {
		t.Fatal(err)
	}
	defer p.kill()
	proc := fmt.Sprintf("/proc/%d/", p.cmd.Process.Pid)
	limits, err := os.ReadFile(proc + "limits")
	if err != nil {
		t.Fatal(err)
	}
	for what, want := range map[string]string{
		"Max data size": "67108864", "Max open files": "64", "Max core file size": "0", "Max file size": "0",
	} {
		if !regexp.MustCompile(what + ` +` + want + ` +` + want + ` `).Match(limits) {
			t.Errorf("%s is not %s:\n%s", what, want, limits)
		}
	}
	t.Logf("this kernel lets children have namespaces of their own: %v", !s.shared.Load())
	if s.shared.Load() {
		return
	}
	for _, kind := range []string{"net", "user", "ipc"} {
		own, err1 := os.Readlink("/proc/self/ns/" + kind)
		child, err2 := os.Readlink(proc + "ns/" + kind)
		if err1 != nil || err2 != nil || own == child {
			t.Errorf("namespace %s: %s, ours is %s (%v, %v)", kind, child, own, err1, err2)
		}
	}
	status, err := os.ReadFile(proc + "status")
	if err != nil {
		t.Fatal(err)
	}
	if os.Getuid() == 0 && !regexp.MustCompile(`Uid:\t65534\t65534\t65534`).Match(status) {
		t.Errorf("it runs as another user:\n%s", status)
	}
}

// A child that may not have namespaces, or needs hardware, is started without.
func TestWhatIsTriedInWhichOrder(t *testing.T) {
	s := &spawner{}
	if got := s.attempts(confinement{}); len(got) != 2 || !got[0] {
		t.Errorf("%v", got)
	}
	if got := s.attempts(confinement{device: true}); len(got) != 1 || got[0] {
		t.Errorf("with hardware: %v", got)
	}
	s.shared.Store(true)
	if got := s.attempts(confinement{}); len(got) != 1 || got[0] {
		t.Errorf("after a failure: %v", got)
	}
}
