package delivery

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"github.com/fsnotify/fsnotify"
	"github.com/go-logr/logr"

	"github.com/millrace/millrace/internal/contract"
	"github.com/millrace/millrace/internal/contract/bundle"
)

const (
	settle  = 50 * time.Millisecond // how long a folder must be quiet before it is read
	poll    = 10 * time.Second      // how often it is read even if nothing was notified
	maxFile = 1 << 20               // a key of a Secret is not larger
)

// ReadVolume reads the Secrets of a Plan from a folder: a folder for each, named by its number, with a file for each
// key.
func ReadVolume(dir string) (Secrets, error) {
	out := make(Secrets, contract.PlanChunks)
	for n := range out {
		for _, key := range []string{bundle.KeyMeta, bundle.KeyData, bundle.KeyAddresses} {
			path := filepath.Join(dir, strconv.Itoa(n), key)
			info, err := os.Stat(path)
			if errors.Is(err, fs.ErrNotExist) {
				continue
			}
			if err != nil {
				return nil, fmt.Errorf("reading the plan: %w", err)
			}
			if info.Size() > maxFile {
				return nil, fmt.Errorf("reading the plan: %s has more than %d bytes", path, maxFile)
			}
			content, err := os.ReadFile(path)
			if err != nil {
				return nil, fmt.Errorf("reading the plan: %w", err)
			}
			if out[n] == nil {
				out[n] = map[string][]byte{}
			}
			out[n][key] = content
		}
	}
	if out[0] == nil {
		return nil, fmt.Errorf("reading the plan in %s: %w", dir, bundle.ErrMissing)
	}
	return out, nil
}

// WatchVolume offers the Plan of a folder, again at each change, until the context ends. The kubelet changes all files
// at once by swapping a link in the folder.
func (r *Receiver) WatchVolume(ctx context.Context, dir string) {
	changes, stop := notify(dir, r.opt.Log)
	defer stop()
	tick := time.NewTicker(poll)
	defer tick.Stop()
	for {
		if secrets, err := ReadVolume(dir); err == nil {
			_ = r.Offer(Volume, secrets) // logged there
		} else if !errors.Is(err, bundle.ErrMissing) {
			_ = r.refuse(Volume, "broken", "", err) // likewise
		}
		select {
		case <-ctx.Done():
			return
		case <-changes:
			if !quiet(ctx, changes) {
				return
			}
		case <-tick.C:
		}
	}
}

// quiet waits until nothing has changed for a moment; false means that the context ended.
func quiet(ctx context.Context, changes <-chan struct{}) bool {
	for {
		select {
		case <-ctx.Done():
			return false
		case <-changes:
		case <-time.After(settle):
			return true
		}
	}
}

// notify returns a signal when something happens in the folder or in those of the Secrets. Without notification the
// poll must do.
func notify(dir string, log logr.Logger) (<-chan struct{}, func()) {
	changes := make(chan struct{}, 1)
	w, err := fsnotify.NewWatcher()
	if err != nil {
		log.Info("The folder of the plan is polled only", "every", poll.String(), "error", err.Error())
		return changes, func() {}
	}
	if err := w.Add(dir); err != nil {
		log.Info("The folder of the plan is polled only", "every", poll.String(), "error", err.Error())
	}
	for n := range contract.PlanChunks {
		_ = w.Add(filepath.Join(dir, strconv.Itoa(n))) // in a volume these are links into a folder that is swapped as a whole
	}
	go func() {
		for {
			select {
			case _, ok := <-w.Events:
				if !ok {
					return
				}
				select {
				case changes <- struct{}{}:
				default:
				}
			case err, ok := <-w.Errors:
				if !ok {
					return
				}
				log.Info("Watching the folder of the plan failed", "error", err.Error())
			}
		}
	}()
	return changes, func() { _ = w.Close() }
}
