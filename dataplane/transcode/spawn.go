package transcode

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// spawner starts child processes, all on one locked thread: to the kernel the parent of PR_SET_PDEATHSIG is the thread
// that forked, and threads of the Go runtime may end before the process does.
type spawner struct {
	shared atomic.Bool // children cannot have namespaces of their own

	jobs chan func()
	stop chan struct{}
	once sync.Once
}

func newSpawner() *spawner {
	s := &spawner{jobs: make(chan func()), stop: make(chan struct{})}
	go func() {
		runtime.LockOSThread() // never unlocked: the thread ends with the goroutine, and so do children that are left
		for {
			select {
			case job := <-s.jobs:
				job()
			case <-s.stop:
				return
			}
		}
	}()
	return s
}

var errClosed = errors.New("the transcoder is closed")

func (s *spawner) start(cmd *exec.Cmd) error {
	done := make(chan error, 1)
	select {
	case s.jobs <- func() { done <- cmd.Start() }:
		return <-done
	case <-s.stop:
		return errClosed
	}
}

// attempts are the ways to start a child, the best one first: whether it has namespaces of its own.
func (s *spawner) attempts(c confinement) []bool {
	if c.device || s.shared.Load() {
		return []bool{false}
	}
	return []bool{true, false}
}

func (s *spawner) close() { s.once.Do(func() { close(s.stop) }) }

// process is a running ffmpeg.
type process struct {
	cmd    *exec.Cmd
	stdin  *os.File
	video  *os.File // its standard output
	audio  *os.File // its file descriptor 3
	said   tail
	exited chan struct{}
	err    error // after exited
}

// run starts a program with pipes for media. Its environment is empty but for the language: no secret of ours goes
// there. What it decodes comes from strangers, so it is confined as far as the kernel lets us.
func (s *spawner) run(path string, args []string, c confinement) (*process, error) {
	p := &process{exited: make(chan struct{})}
	in, err1 := newPipe()
	video, err2 := newPipe()
	audio, err3 := newPipe()
	said, err4 := newPipe()
	pipes := []pipe{in, video, audio, said}
	if err := errors.Join(err1, err2, err3, err4); err != nil {
		closeAll(pipes)
		return nil, fmt.Errorf("making pipes to %s: %w", path, err)
	}
	var err error
	for _, namespaces := range s.attempts(c) {
		p.cmd = exec.Command(path, args...) //nolint:noctx // killed by kill, which its session calls at its end
		p.cmd.Env = []string{"LC_ALL=C"}
		p.cmd.Dir = "/"
		p.cmd.Stdin, p.cmd.Stdout, p.cmd.Stderr, p.cmd.ExtraFiles = in.r, video.w, said.w, []*os.File{audio.w}
		dieWithParent(p.cmd)
		if namespaces {
			ownNamespaces(p.cmd)
		}
		if err = s.start(p.cmd); err == nil || !namespaces {
			break
		}
		s.shared.Store(true) // this kernel, or what confines this process, does not let it; the others are not tried again
	}
	if err == nil {
		if err = limit(p.cmd.Process.Pid, c.memory); err != nil {
			_ = p.cmd.Process.Kill()
			_ = p.cmd.Wait()
		}
	}
	if err != nil {
		closeAll(pipes)
		return nil, fmt.Errorf("starting %s: %w", path, err)
	}
	for _, f := range []*os.File{in.r, video.w, audio.w, said.w} {
		_ = f.Close() // the child has its own
	}
	p.stdin, p.video, p.audio = in.w, video.r, audio.r
	var listening sync.WaitGroup
	listening.Go(func() {
		_, _ = io.Copy(&p.said, said.r) // to its end
		_ = said.r.Close()
	})
	go func() {
		p.err = p.cmd.Wait()
		listening.Wait()
		close(p.exited)
	}()
	return p, nil
}

// kill ends the process and waits for it, then closes the pipes.
func (p *process) kill() {
	_ = p.stdin.Close()
	_ = p.cmd.Process.Kill() // it may have ended
	<-p.exited
	_ = p.video.Close()
	_ = p.audio.Close()
}

// cpu is what the process has used, after its end.
func (p *process) cpu() time.Duration {
	if st := p.cmd.ProcessState; st != nil {
		return st.UserTime() + st.SystemTime()
	}
	return 0
}

type pipe struct{ r, w *os.File }

func newPipe() (p pipe, err error) {
	p.r, p.w, err = os.Pipe()
	return p, err
}

func closeAll(pipes []pipe) {
	for _, p := range pipes {
		if p.r != nil {
			_ = p.r.Close()
			_ = p.w.Close()
		}
	}
}

// tail keeps the end of what a process says.
type tail struct {
	mu sync.Mutex
	b  []byte
}

const maxSaid = 4096

func (t *tail) Write(b []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.b = append(t.b, b...)
	if over := len(t.b) - maxSaid; over > 0 {
		t.b = append(t.b[:0], t.b[over:]...)
	}
	return len(b), nil
}

// last is the last line with something in it.
func (t *tail) last() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	lines := bytes.Split(bytes.TrimSpace(t.b), []byte("\n"))
	return strings.ToValidUTF8(strings.TrimSpace(string(lines[len(lines)-1])), "?")
}
