package image

import (
	"bytes"
	"context"
	"debug/elf"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
)

// Entry is a file as it stands in an image.
type Entry struct {
	Path    string // absolute, in the image
	From    string // on this machine; empty: Content is it
	Content []byte
	Mode    fs.FileMode
}

// Collect finds what is on the list. built is the folder of files that were built for the image.
func (l List) Collect(ctx context.Context, built string) ([]Entry, error) {
	found := map[string]Entry{}
	add := func(from, to string) error {
		info, err := os.Stat(from)
		if err != nil {
			return fmt.Errorf("collecting files of an image: %w", err)
		}
		found[to] = Entry{Path: to, From: from, Mode: info.Mode().Perm()}
		return nil
	}
	for _, f := range l.Files {
		switch {
		case f.Content != "":
			found[f.To] = Entry{Path: f.To, Content: []byte(f.Content), Mode: 0o644}
			continue
		case !filepath.IsAbs(f.From):
			f.From = filepath.Join(built, f.From)
		}
		if err := add(f.From, f.To); err != nil && (!f.Optional || !errors.Is(err, fs.ErrNotExist)) {
			return nil, err
		}
	}
	for _, program := range l.Programs {
		path, err := exec.LookPath(program)
		if err != nil {
			return nil, fmt.Errorf("%s is not installed; on Debian: apt-get install -y %s", program, program)
		}
		libraries, err := libraries(ctx, path)
		if err != nil {
			return nil, err
		}
		if err := add(path, "/usr/bin/"+program); err != nil {
			return nil, err
		}
		for name, from := range libraries {
			if err := add(from, name); err != nil {
				return nil, err
			}
		}
	}
	return slices.SortedFunc(maps.Values(found), func(a, b Entry) int { return strings.Compare(a.Path, b.Path) }), nil
}

// libraries are what a program loads, by the paths at which the loader looks for it, and the loader itself.
func libraries(ctx context.Context, program string) (map[string]string, error) {
	binary, err := elf.Open(program)
	if err != nil {
		return nil, fmt.Errorf("reading %s: %w", program, err)
	}
	defer binary.Close()
	if !slices.ContainsFunc(binary.Progs, func(p *elf.Prog) bool { return p.Type == elf.PT_INTERP }) {
		return nil, nil // static
	}
	out, err := exec.CommandContext(ctx, "ldd", program).CombinedOutput()
	if err != nil {
		return nil, fmt.Errorf("ldd %s: %w: %s", program, err, out)
	}
	if bytes.Contains(out, []byte("not found")) {
		return nil, fmt.Errorf("%s misses a library: %s", program, out)
	}
	found := map[string]string{}
	for _, match := range regexp.MustCompile(`(?m)(/\S+) \(0x`).FindAllSubmatch(out, -1) {
		found[string(match[1])] = string(match[1])
	}
	return found, nil
}

// CopyTo copies the entries below a folder: what a Dockerfile copies into an image.
func CopyTo(root string, entries []Entry) error {
	for _, e := range entries {
		to := filepath.Join(root, e.Path)
		if err := os.MkdirAll(filepath.Dir(to), 0o755); err != nil {
			return fmt.Errorf("copying files of an image: %w", err)
		}
		body, err := e.read()
		if err == nil {
			err = os.WriteFile(to, body, e.Mode)
		}
		if err != nil {
			return fmt.Errorf("copying files of an image: %w", err)
		}
	}
	return nil
}

func (e Entry) read() ([]byte, error) {
	if e.From == "" {
		return e.Content, nil
	}
	body, err := os.ReadFile(e.From)
	if err != nil {
		return nil, fmt.Errorf("reading a file of an image: %w", err)
	}
	return body, nil
}
