package manifests

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// Bounds of what is read.
const (
	MaxFileBytes = 1 << 20
	MaxFiles     = 1000
	MaxObjects   = 5000
)

// file is a file and its text.
type file struct {
	name string
	text []byte
}

// readFiles reads files, the *.yaml, *.yml and *.json directly in folders, and "-" for standard input.
func readFiles(paths []string) ([]file, []Finding) {
	var files []file
	var findings []Finding
	fail := func(name, format string, args ...any) {
		findings = append(
			findings,
			Finding{
				File:     name,
				Severity: Error,
				Reason:   ReasonUnreadable,
				Message:  fmt.Sprintf(format, args...),
				order:    len(files),
			},
		)
	}
	for _, path := range paths {
		names, err := expand(path)
		if err != nil {
			fail(path, "cannot be read: %v", plainError(err))
			continue
		}
		for _, name := range names {
			if len(files) == MaxFiles {
				fail(name, "there are more than %d files: give fewer", MaxFiles)
				return files, findings
			}
			text, err := readFile(name)
			if err != nil {
				fail(name, "cannot be read: %v", plainError(err))
				continue
			}
			files = append(files, file{name, text})
		}
	}
	if len(files) == 0 && len(findings) == 0 {
		fail(
			strings.Join(paths, " "),
			"no *.yaml, *.yml or *.json here: give a file, or a folder that holds manifests directly",
		)
	}
	return files, findings
}

// expand lists the files that a path stands for, sorted by name. Names that begin with a dot are left out: mounted
// ConfigMaps keep their data there.
func expand(path string) ([]string, error) {
	if path == "-" {
		return []string{path}, nil
	}
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	if !info.IsDir() {
		return []string{path}, nil
	}
	entries, err := os.ReadDir(path)
	if err != nil {
		return nil, err
	}
	var names []string
	for _, entry := range entries {
		if strings.HasPrefix(entry.Name(), ".") ||
			!slices.Contains([]string{".yaml", ".yml", ".json"}, filepath.Ext(entry.Name())) {
			continue
		}
		name := filepath.Join(path, entry.Name())
		if info, err := os.Stat(name); err == nil && info.IsDir() {
			continue
		}
		names = append(names, name)
	}
	return names, nil
}

func readFile(name string) ([]byte, error) {
	in := os.Stdin
	if name != "-" {
		opened, err := os.Open(name)
		if err != nil {
			return nil, err
		}
		defer func() { _ = opened.Close() }()
		in = opened
	}
	text, err := io.ReadAll(io.LimitReader(in, MaxFileBytes+1))
	if err != nil {
		return nil, err
	}
	if len(text) > MaxFileBytes {
		return nil, fmt.Errorf("it is larger than %d bytes", MaxFileBytes)
	}
	return text, nil
}

// plainError drops the path that the finding names already.
func plainError(err error) error {
	var at *os.PathError
	if errors.As(err, &at) {
		return at.Err
	}
	return err
}
