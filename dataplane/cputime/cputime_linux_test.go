package cputime_test

import (
	"os"
	"testing"

	"github.com/millrace/millrace/dataplane/cputime"
	"github.com/millrace/millrace/internal/testkit"
)

// Only Linux tells both times.
func TestWorkCosts(t *testing.T) {
	spent := 0
	own := cputime.Own()
	other, ok := cputime.Of(os.Getpid())
	if !ok {
		t.Fatal("this process is not found")
	}
	testkit.Eventually(t, "work that costs", func() bool {
		for range 1_000_000 { // of that work
			spent++
		}
		now, _ := cputime.Of(os.Getpid())
		return cputime.Own() > own && now > other
	})
}

func TestNoSuchProcess(t *testing.T) {
	if d, ok := cputime.Of(-1); ok || d != 0 {
		t.Errorf("a process that is not there has used %v", d)
	}
}
