package alive

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"syscall"
	"time"
)

// Hold shows in a folder that this process lives, until it ends or the file that it gives is closed. It waits for a Watch that deals with the end of the processes
// before this one.
func Hold(dir string) (*os.File, error) {
	f, err := open(dir)
	if err != nil {
		return nil, err
	}
	if err := flock(f, syscall.LOCK_SH); err != nil {
		return nil, errors.Join(fmt.Errorf("locking %s: %w", f.Name(), err), f.Close())
	}
	return f, nil
}

// Watch calls gone each time that the last process has ended that held the folder, also when there is none from the beginning, and back when there is
// one again. Others begin to hold it when gone has returned. It ends after a gone when the context is done by then, so that it outlives whom it watches.
func Watch(ctx context.Context, dir string, gone, back func()) error {
	f, err := open(dir)
	if err != nil {
		return err
	}
	defer func() { _ = f.Close() }() // nothing was written
	for {
		if err := flock(f, syscall.LOCK_EX); err != nil {
			return fmt.Errorf("waiting for the end of those that hold %s: %w", f.Name(), err)
		}
		gone()
		for {
			if err := flock(f, syscall.LOCK_UN); err != nil {
				return fmt.Errorf("giving %s back: %w", f.Name(), err)
			}
			select {
			case <-ctx.Done():
				return nil
			case <-time.After(again):
			}
			if err := flock(f, syscall.LOCK_EX|syscall.LOCK_NB); errors.Is(err, syscall.EWOULDBLOCK) {
				back()
				break
			} else if err != nil {
				return fmt.Errorf("looking who holds %s: %w", f.Name(), err)
			}
		}
	}
}

func open(dir string) (*os.File, error) {
	f, err := os.OpenFile(filepath.Join(dir, File), os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, fmt.Errorf("opening the file that shows who lives: %w", err)
	}
	return f, nil
}

func flock(f *os.File, how int) error {
	for {
		if err := syscall.Flock(int(f.Fd()), how); !errors.Is(err, syscall.EINTR) {
			return err
		}
	}
}
