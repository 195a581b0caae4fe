package cputime_test

import (
	"os"
	"runtime"
	"testing"
	"time"

	"github.com/millrace/millrace/dataplane/cputime"
)

func TestWorkCosts(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("only Linux tells both times")
	}
	own := cputime.Own()
	other, ok := cputime.Of(os.Getpid())
	if !ok {
		t.Fatal("this process is not found")
	}
	for deadline := time.Now().Add(time.Minute); ; {
		now, _ := cputime.Of(os.Getpid())
		if cputime.Own() > own && now > other {
			return
		}
		if time.Now().After(deadline) {
			t.Fatal("a minute of work costs nothing")
		}
	}
}

func TestNoSuchProcess(t *testing.T) {
	if d, ok := cputime.Of(-1); ok || d != 0 {
		t.Errorf("a process that is not there has used %v", d)
	}
}
