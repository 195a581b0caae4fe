package supervise

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"runtime"
	"strconv"
	"syscall"
	"time"

	"github.com/go-logr/logr"
)

// Run runs this program again as a child, with the arguments of this process, until it ends well, is asked to end, or
// may not be started again. SIGTERM and SIGINT are passed on. It waits for all children of this process, those that it
// inherits included: it is made for the first process of a container.
func Run(ctx context.Context, log logr.Logger) error {
	signals := make(chan os.Signal, 8)
	signal.Notify(signals, syscall.SIGTERM, syscall.SIGINT)
	defer signal.Stop(signals)
	path, err := os.Executable()
	if err != nil {
		return fmt.Errorf("finding the program: %w", err)
	}
	// The child ends with the thread that started it.
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	var before history
	for restarts := 0; ctx.Err() == nil; restarts++ {
		started := time.Now()
		child, err := os.StartProcess(path, os.Args, &os.ProcAttr{ //nolint:gosec // this program, as it was called
			Env:   append(os.Environ(), EnvRestarts+"="+strconv.Itoa(restarts)),
			Files: []*os.File{os.Stdin, os.Stdout, os.Stderr},
			// what a terminal sends comes once, from here
			Sys: &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL, Setpgid: true},
		})
		if err != nil {
			return fmt.Errorf("starting the process that serves: %w", err)
		}
		status, asked, err := wait(child, signals)
		how, ran := describe(status), time.Since(started)
		switch {
		case err != nil:
			return fmt.Errorf("waiting for the process that serves: %w", err)
		case status.Exited() && status.ExitStatus() == 0, asked && status.Signaled():
			return nil
		case asked, !before.again(ran, time.Now()):
			return fmt.Errorf("%w: %s after %.1f s", ErrEnded, how, ran.Seconds())
		}
		log.Info(
			"The process that serves has ended and is started again",
			"how",
			how,
			"seconds",
			int(ran.Seconds()),
			"restarts",
			restarts+1,
		)
	}
	return nil
}

// wait passes signals on until the child has ended. asked reports whether there was one.
func wait(child *os.Process, signals <-chan os.Signal) (status syscall.WaitStatus, asked bool, err error) {
	type end struct {
		status syscall.WaitStatus
		err    error
	}
	ended := make(chan end, 1)
	go func() {
		status, err := reap(child.Pid)
		ended <- end{status, err}
	}()
	defer func() { _ = child.Release() }() // nothing to be done
	for {
		select {
		case s := <-signals:
			asked = true
			_ = child.Signal(s) // it may have ended
		case e := <-ended:
			return e.status, asked, e.err
		}
	}
}

// reap waits for a child, and for others that end meanwhile.
func reap(pid int) (syscall.WaitStatus, error) {
	for {
		var status syscall.WaitStatus
		switch got, err := syscall.Wait4(-1, &status, 0, nil); {
		case errors.Is(err, syscall.EINTR):
		case err != nil:
			return status, err
		case got == pid && (status.Exited() || status.Signaled()):
			return status, nil
		}
	}
}

func describe(s syscall.WaitStatus) string {
	if s.Signaled() {
		return "signal: " + s.Signal().String()
	}
	return "exit status " + strconv.Itoa(s.ExitStatus())
}
