//go:build linux

package alive

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/millrace/millrace/internal/testkit"
)

// waits returns when the watcher of a folder waits for the end of those who hold it: the kernel lists such waiters
// (proc(5), /proc/locks).
func waits(t *testing.T, dir string) {
	t.Helper()
	info, err := os.Stat(filepath.Join(dir, Process))
	if err != nil {
		t.Fatal(err)
	}
	inode := fmt.Sprintf(":%d ", info.Sys().(*syscall.Stat_t).Ino)
	ctx, cancel := context.WithTimeout(t.Context(), testkit.Patience())
	defer cancel()
	look := time.NewTicker(time.Millisecond)
	defer look.Stop()
	for {
		list, err := os.ReadFile("/proc/locks")
		if err != nil {
			t.Fatal(err)
		}
		for line := range strings.Lines(string(list)) {
			if strings.Contains(line, "-> FLOCK") && strings.Contains(line, inode) {
				return
			}
		}
		select {
		case <-look.C:
		case <-ctx.Done():
			t.Fatal("nobody waits")
		}
	}
}

// What is watched is gone when the last of its processes has ended, each time; and nobody begins while its end is dealt
// with.
func TestTheEndOfTheLastIsSeen(t *testing.T) {
	dir := t.TempDir()
	hold := func() *os.File {
		t.Helper()
		f, err := Hold(dir, Process)
		if err != nil {
			t.Fatal(err)
		}
		return f
	}
	first, second := hold(), hold()

	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	gone, deal, ended := make(chan struct{}), make(chan struct{}), make(chan error, 1)
	go func() {
		ended <- Watch(ctx, dir, func(first bool) {
			if first {
				t.Error("those who held it are not known")
			}
			select {
			case gone <- struct{}{}:
				<-deal
			case <-t.Context().Done():
			}
		})
	}()
	silent := func(what string) {
		t.Helper()
		select {
		case <-gone:
			t.Fatal("gone " + what)
		case <-time.After(6 * again):
		}
	}
	seen := func() {
		t.Helper()
		select {
		case <-gone:
		case <-time.After(testkit.Patience()):
			t.Fatal("the end is not seen")
		}
	}
	silent("while both hold it")
	_ = first.Close()
	silent("while one holds it")
	_ = second.Close()
	seen()
	held := make(chan *os.File)
	go func() { held <- hold() }()
	select {
	case <-held:
		t.Fatal("one begins while the end of those before is dealt with")
	case <-time.After(6 * again):
	}
	deal <- struct{}{}
	third := <-held
	waits(t, dir) // it has seen the next one
	silent("while the next holds it")
	stop()
	silent("since it was asked to end") // it outlives whom it watches
	_ = third.Close()
	seen()
	deal <- struct{}{}
	select {
	case err := <-ended:
		if err != nil {
			t.Error(err)
		}
	case <-time.After(testkit.Patience()):
		t.Error("it does not end")
	}
}

// One that begins with nobody there says so, and sees who comes after.
func TestNobodyAtFirst(t *testing.T) {
	dir := t.TempDir()
	gone := make(chan bool)
	go func() {
		_ = Watch(t.Context(), dir, func(first bool) { // it is left behind
			select {
			case gone <- first:
			case <-t.Context().Done():
			}
		})
	}()
	if !<-gone {
		t.Error("there was nobody, and that is not said")
	}
	f, err := Hold(dir, Process)
	if err != nil {
		t.Fatal(err)
	}
	waits(t, dir)
	_ = f.Close()
	if <-gone {
		t.Error("one was there")
	}
}

func TestSomebodyIsAwaited(t *testing.T) {
	dir := t.TempDir()
	ctx, cancel := context.WithTimeout(t.Context(), 20*soon)
	defer cancel()
	if err := Await(ctx, dir, Ports, true); err == nil {
		t.Error("nobody came")
	}
	awaited := make(chan error, 1)
	go func() { awaited <- Await(t.Context(), dir, Ports, true) }()
	f, err := Hold(dir, Ports)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if err := <-awaited; err != nil {
		t.Error(err)
	}
}

func TestAFolderThatIsNotThere(t *testing.T) {
	if _, err := Hold(t.TempDir()+"/none", Process); err == nil {
		t.Error("held")
	}
	if err := Watch(t.Context(), t.TempDir()+"/none", func(bool) { t.Error("gone") }); err == nil {
		t.Error("watched")
	}
}
