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

// Hold shows in a folder that this process lives, or has come to its ports, until it ends or the file that it gives is
// closed. It waits for a Watch that deals with the end of the processes before this one.
func Hold(dir, name string) (*os.File, error) {
	f, err := open(dir, name)
	if err != nil {
		return nil, err
	}
	if err := flock(f, syscall.LOCK_SH); err != nil {
		return nil, errors.Join(fmt.Errorf("locking %s: %w", f.Name(), err), f.Close())
	}
	return f, nil
}

// Watch calls gone each time that the last process has ended that held the folder, and at first when there is none from
// the beginning. Others begin to hold it when gone has returned. It ends after a gone when the context is done by then,
// so that it outlives whom it watches.
func Watch(ctx context.Context, dir string, gone func(first bool)) error {
	f, err := open(dir, Process)
	if err != nil {
		return err
	}
	defer func() { _ = f.Close() }() // nothing was written
	none, err := free(f)
	if err != nil {
		return err
	}
	for first := none; ; first = false {
		if err := flock(f, syscall.LOCK_EX); err != nil {
			return fmt.Errorf("waiting for the end of those that hold %s: %w", f.Name(), err)
		}
		gone(first)
		for {
			if err := flock(f, syscall.LOCK_UN); err != nil {
				return fmt.Errorf("giving %s back: %w", f.Name(), err)
			}
			select {
			case <-ctx.Done():
				return nil
			case <-time.After(again):
			}
			if none, err := free(f); err != nil {
				return err
			} else if !none {
				break
			}
		}
	}
}

// Await waits until a process holds a file of a folder, or none does, or the context is done. To look is to hold the
// file for a moment: two that await the same one take each other for what they wait for.
func Await(ctx context.Context, dir, name string, held bool) error {
	f, err := open(dir, name)
	if err != nil {
		return err
	}
	defer func() { _ = f.Close() }() // nothing was written
	for {
		switch none, err := free(f); {
		case err != nil:
			return err
		case none != held:
			return nil
		}
		if err := flock(f, syscall.LOCK_UN); err != nil {
			return fmt.Errorf("giving %s back: %w", f.Name(), err)
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(soon):
		}
	}
}

// free takes a file if nobody holds it.
func free(f *os.File) (bool, error) {
	switch err := flock(f, syscall.LOCK_EX|syscall.LOCK_NB); {
	case errors.Is(err, syscall.EWOULDBLOCK):
		return false, nil
	case err != nil:
		return false, fmt.Errorf("looking who holds %s: %w", f.Name(), err)
	}
	return true, nil
}

func open(dir, name string) (*os.File, error) {
	f, err := os.OpenFile(filepath.Join(dir, name), os.O_RDWR|os.O_CREATE, 0o600)
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
