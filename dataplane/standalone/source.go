package standalone

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"github.com/fsnotify/fsnotify"
	"github.com/go-logr/logr"

	"github.com/millrace/millrace/internal/compile"
	"github.com/millrace/millrace/internal/compile/manifests"
	"github.com/millrace/millrace/internal/contract/plan"
)

// source turns manifests into Plans, again at each change of a file.
type source struct {
	paths []string
	out   io.Writer
	log   logr.Logger

	last    *plan.Plan
	output  compile.Output
	problem string // what was printed of the files last, not to print it twice
}

var errBroken = errors.New("the manifests have errors; 'millrace validate' shows them too")

// settle is how long files must stay quiet before they are read: editors write in several steps.
const settle = 150 * time.Millisecond

// poll is how often files are looked at even if nothing was notified: some file systems notify nothing.
const poll = 10 * time.Second

func newSource(paths []string, out io.Writer, log logr.Logger) (*source, error) {
	if out == nil {
		out = io.Discard
	}
	for _, p := range paths {
		if _, err := os.Stat(p); err != nil {
			return nil, fmt.Errorf("reading manifests: %w", err)
		}
	}
	return &source{paths: paths, out: out, log: log}, nil
}

// load reads and compiles the manifests. Findings are printed when they differ from those of the last time. Broken
// files are an error; objects that are rejected are not.
func (s *source) load() (*plan.Plan, error) {
	output, _, findings := manifests.CompileDir(s.paths)
	text := ""
	for _, f := range findings {
		text += f.String() + "\n"
	}
	if text != s.problem {
		s.problem = text
		fmt.Fprint(s.out, text)
	}
	if manifests.Broken(findings) {
		return nil, errBroken
	}
	s.output, s.last = output, output.OnePlan()
	return s.last, nil
}

// watch applies changes of the files until the context ends. A broken state is said once, and the last good Plan stays.
func (s *source) watch(ctx context.Context, apply func(*plan.Plan)) {
	changes, stop := s.notify()
	defer stop()
	ticker := time.NewTicker(poll)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-changes:
			if !quiet(ctx, changes) {
				return
			}
		case <-ticker.C:
		}
		s.reload(apply)
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

func (s *source) reload(apply func(*plan.Plan)) {
	old, said := s.last, s.problem
	next, err := s.load()
	if err == nil {
		err = plan.Acceptable(old, next)
		if err != nil {
			s.last = old
		}
	}
	if err != nil {
		if s.problem != said || !errors.Is(err, errBroken) {
			fmt.Fprintf(s.out, "Kept the last good state: %v\n", err)
			s.log.Info("Kept the last good state", "error", err.Error())
		}
		return
	}
	d := plan.Diff(old, next)
	if d.Empty() {
		return
	}
	apply(next)
	fmt.Fprintf(s.out, "Changed:\n%s", d)
	s.log.Info("Applied a change of the manifests")
}

// notify returns a signal when something happens in the folders of the manifests. Without notification the poll must
// do.
func (s *source) notify() (<-chan struct{}, func()) {
	changes := make(chan struct{}, 1)
	w, err := fsnotify.NewWatcher()
	if err != nil {
		s.log.Info("Files are polled only", "every", poll.String(), "error", err.Error())
		return changes, func() {}
	}
	for _, p := range s.paths {
		if info, err := os.Stat(p); err == nil && !info.IsDir() {
			p = filepath.Dir(p) // editors replace files: the folder is what stays
		}
		if err := w.Add(p); err != nil {
			s.log.Info("A folder is polled only", "folder", p, "error", err.Error())
		}
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
				s.log.Info("Watching files failed", "error", err.Error())
			}
		}
	}()
	return changes, func() { _ = w.Close() }
}
