//go:build linux

package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// process is one that this program started, then or in an earlier run. Its start time tells it from another that got
// its number later.
type process struct {
	file string // where its number and start time are kept
}

func (l layout) process(name string) process { return process{file: l.path("run", name+".pid")} }

// start runs a command that outlives this program, unless it runs already.
func (p process) start(cmd *exec.Cmd, log string) error {
	if p.pid() != 0 {
		return nil
	}
	for _, file := range []string{p.file, log} {
		if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
			return fmt.Errorf("making the folder of %s: %w", file, err)
		}
	}
	out, err := os.OpenFile(log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		return fmt.Errorf("opening the log: %w", err)
	}
	defer out.Close()
	cmd.Stdout, cmd.Stderr = out, out
	if cmd.SysProcAttr == nil {
		cmd.SysProcAttr = &syscall.SysProcAttr{}
	}
	cmd.SysProcAttr.Setsid = true
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("starting %s: %w", cmd.Path, err)
	}
	pid := cmd.Process.Pid
	_, started := look(pid)
	if err := os.WriteFile(p.file, fmt.Appendf(nil, "%d %s\n", pid, started), 0o644); err != nil {
		return fmt.Errorf("keeping the number of %s: %w", cmd.Path, err)
	}
	//nolint:errcheck // so that it does not stay as a zombie while this program runs; its log tells why it ended
	go cmd.Wait()
	return nil
}

// pid is its number, 0 when it does not run.
func (p process) pid() int {
	body, err := os.ReadFile(p.file)
	if err != nil {
		return 0
	}
	fields := strings.Fields(string(body))
	if len(fields) != 2 {
		return 0
	}
	pid, err := strconv.Atoi(fields[0])
	if err != nil {
		return 0
	}
	if state, started := look(pid); state == "" || state == "Z" || state == "X" || started != fields[1] {
		return 0
	}
	return pid
}

// look reads the state and the start time of a process.
func look(pid int) (state, started string) {
	body, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return "", ""
	}
	// The name, in brackets, may hold anything.
	_, rest, ok := strings.Cut(string(body[strings.LastIndex(string(body), ")"):]), ") ")
	fields := strings.Fields(rest)
	if !ok || len(fields) < 20 {
		return "", ""
	}
	return fields[0], fields[19]
}

// stop ends it: asked first where patience is given, killed after that. It returns when it has ended.
func (p process) stop(patience time.Duration) error {
	pid := p.pid()
	if pid == 0 {
		return p.forget()
	}
	if patience > 0 {
		if err := syscall.Kill(pid, syscall.SIGTERM); err != nil && !errors.Is(err, syscall.ESRCH) {
			return fmt.Errorf("asking process %d to end: %w", pid, err)
		}
		if p.ended(patience) {
			return p.forget()
		}
	}
	if err := syscall.Kill(pid, syscall.SIGKILL); err != nil && !errors.Is(err, syscall.ESRCH) {
		return fmt.Errorf("killing process %d: %w", pid, err)
	}
	if !p.ended(20 * time.Second) {
		return fmt.Errorf("process %d did not end within 20 s of its kill", pid)
	}
	return p.forget()
}

func (p process) ended(within time.Duration) bool {
	for until := time.Now().Add(within); time.Now().Before(until); time.Sleep(20 * time.Millisecond) {
		if p.pid() == 0 {
			return true
		}
	}
	return p.pid() == 0
}

func (p process) forget() error {
	if err := os.Remove(p.file); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("forgetting a process: %w", err)
	}
	return nil
}
