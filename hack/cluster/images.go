//go:build linux

package main

import (
	"bufio"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/millrace/millrace/hack/image"
)

// Images of the cluster's own programs. There is no registry: archives are loaded into the nodes.
const (
	pauseImage   = "millrace.test/pause:1"
	corednsImage = "millrace.test/coredns:1"
)

// writeSystemImages makes the archives of pause and CoreDNS.
func (l layout) writeSystemImages(ctx context.Context) error {
	for program, reference := range map[string]string{"pause": pauseImage, "coredns": corednsImage} {
		list := image.Statically(program)
		entries, err := list.Collect(ctx, l.assets)
		if err != nil {
			return err
		}
		if err := l.keepImage(program+".tar", func(w io.Writer) error {
			return list.Write(w, reference,
				entries)
		}); err != nil {
			return err
		}
	}
	return nil
}

// keepImage keeps an archive for the nodes, and its hash beside it.
func (l layout) keepImage(name string, write func(io.Writer) error) error {
	if err := os.MkdirAll(l.images(), 0o755); err != nil {
		return fmt.Errorf("making the folder of images: %w", err)
	}
	at := filepath.Join(l.images(), name)
	f, err := os.Create(at + ".new")
	if err != nil {
		return fmt.Errorf("keeping an image: %w", err)
	}
	sum := sha256.New()
	w := bufio.NewWriterSize(f, 1<<20)
	if err := errors.Join(write(io.MultiWriter(w, sum)), w.Flush(), f.Close()); err != nil {
		return err
	}
	return errors.Join(os.Rename(at+".new", at), os.WriteFile(at+".sum", fmt.Appendf(nil, "%x", sum.Sum(nil)), 0o644))
}

// load keeps archives and imports them into all nodes that run; the others get them when they boot.
func (l layout) load(ctx context.Context, archives []string) error {
	for _, archive := range archives {
		if err := l.keepImage(filepath.Base(archive), func(w io.Writer) error {
			f, err := os.Open(archive)
			if err != nil {
				return fmt.Errorf("opening the archive: %w", err)
			}
			defer f.Close()
			if _, err := io.Copy(w, f); err != nil {
				return fmt.Errorf("copying the archive: %w", err)
			}
			return nil
		}); err != nil {
			return err
		}
	}
	return l.eachNode(func(n node) error {
		if n.process().pid() == 0 {
			return nil
		}
		return n.importImages(ctx)
	})
}

// importImages imports what the node does not have yet.
func (n node) importImages(ctx context.Context) error {
	archives, err := filepath.Glob(filepath.Join(n.layout.images(), "*.tar"))
	if err != nil {
		return fmt.Errorf("listing images: %w", err)
	}
	if err := os.MkdirAll(n.path("images"), 0o755); err != nil {
		return fmt.Errorf("making the folder of imported images: %w", err)
	}
	for _, archive := range archives {
		want, err := os.ReadFile(archive + ".sum")
		if err != nil {
			return fmt.Errorf("reading the hash of an image: %w", err)
		}
		marker := n.path("images", filepath.Base(archive))
		if have, err := os.ReadFile(marker); err == nil && string(have) == string(want) {
			continue
		}
		if err := n.waitForContainerd(ctx); err != nil {
			return err
		}
		if out, err := n.exec(ctx, "ctr", "-n", "k8s.io", "images", "import", archive).CombinedOutput(); err != nil {
			return fmt.Errorf("importing %s into %s: %w: %s", archive, n.name(), err, strings.TrimSpace(string(out)))
		}
		if err := os.WriteFile(marker, want, 0o644); err != nil {
			return fmt.Errorf("noting an imported image: %w", err)
		}
	}
	return nil
}

func (n node) waitForContainerd(ctx context.Context) error {
	return poll(ctx, 30*time.Second, "containerd of "+n.name()+"; see "+n.path("log", "containerd.log"), func() error {
		if n.process().pid() == 0 {
			return fmt.Errorf("the node has ended; see %s", n.layout.log(n.name()))
		}
		if out, err := n.exec(ctx, "ctr", "version").CombinedOutput(); err != nil {
			return fmt.Errorf("%w: %s", err, strings.TrimSpace(string(out)))
		}
		return nil
	})
}

// eachNode does it for all nodes at the same time.
func (l layout) eachNode(do func(node) error) error {
	failed := make([]error, l.count)
	var all sync.WaitGroup
	for i, n := range l.nodes() {
		all.Go(func() { failed[i] = do(n) })
	}
	all.Wait()
	return errors.Join(failed...)
}
