//go:build linux

package alive

import (
	"context"
	"os"
	"testing"
	"time"
)

const patience = 30 * time.Second

// What is watched is gone when the last of its processes has ended, each time; and nobody begins while its end is dealt with.
func TestTheEndOfTheLastIsSeen(t *testing.T) {
	dir := t.TempDir()
	hold := func() *os.File {
		t.Helper()
		f, err := Hold(dir)
		if err != nil {
			t.Fatal(err)
		}
		return f
	}
	first, second := hold(), hold()

	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	gone, deal, ended := make(chan struct{}), make(chan struct{}), make(chan error, 1)
	back := make(chan struct{}, 10)
	go func() {
		ended <- Watch(ctx, dir, func() {
			select {
			case gone <- struct{}{}:
				<-deal
			case <-t.Context().Done():
			}
		}, func() { back <- struct{}{} })
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
		case <-time.After(patience):
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
	select {
	case <-back:
	case <-time.After(patience):
		t.Fatal("the next is not seen")
	}
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
	case <-time.After(patience):
		t.Error("it does not end")
	}
	if len(back) > 0 {
		t.Error("the next was seen twice")
	}
}

func TestAFolderThatIsNotThere(t *testing.T) {
	if _, err := Hold(t.TempDir() + "/none"); err == nil {
		t.Error("held")
	}
	if err := Watch(t.Context(), t.TempDir()+"/none", func() { t.Error("gone") }, func() { t.Error("back") }); err == nil {
		t.Error("watched")
	}
}
