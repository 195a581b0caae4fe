//go:build linux

package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

const cgroupRoot = "/sys/fs/cgroup"

// hierarchies are the folders below which cgroups are made: one per controller, or the root of a machine that has
// version 2 only.
func hierarchies() ([]string, error) {
	var at unix.Statfs_t
	if err := unix.Statfs(cgroupRoot, &at); err == nil && at.Type == unix.CGROUP2_SUPER_MAGIC {
		return []string{cgroupRoot}, nil
	}
	entries, err := os.ReadDir(cgroupRoot)
	if err != nil {
		return nil, fmt.Errorf("listing cgroups: %w", err)
	}
	var found []string
	for _, e := range entries {
		path := filepath.Join(cgroupRoot, e.Name())
		if e.Type()&fs.ModeSymlink == 0 && unix.Statfs(path, &at) == nil && at.Type == unix.CGROUP_SUPER_MAGIC {
			found = append(found, path)
		}
	}
	if len(found) == 0 {
		return nil, fmt.Errorf("no cgroup controllers below %s", cgroupRoot)
	}
	return found, nil
}

// makeCgroup makes the cgroup of a node in every hierarchy. What the pods of an earlier life left in it goes first: the
// kubelet waits 3 s for each such cgroup.
func makeCgroup(name string) error {
	if err := removeCgroup(name); err != nil {
		return err
	}
	roots, err := hierarchies()
	if err != nil {
		return err
	}
	for _, root := range roots {
		if root == cgroupRoot {
			if err := delegate(name); err != nil {
				return err
			}
			continue
		}
		at := root
		for _, part := range strings.Split(strings.Trim(name, "/"), "/") {
			parent := at
			at = filepath.Join(at, part)
			if err := os.Mkdir(at, 0o755); err != nil && !errors.Is(err, fs.ErrExist) {
				return fmt.Errorf("making a cgroup: %w", err)
			}
			// A new cpuset is empty, and nothing runs in an empty one.
			for _, file := range []string{"cpuset.cpus", "cpuset.mems"} {
				value, err := os.ReadFile(filepath.Join(parent, file))
				if errors.Is(err, fs.ErrNotExist) {
					continue
				}
				if err == nil {
					err = os.WriteFile(filepath.Join(at, file), value, 0o644)
				}
				if err != nil {
					return fmt.Errorf("copying %s to a cgroup: %w", file, err)
				}
			}
		}
	}
	// By default all pods together weigh as much as one thread of the browser that watches them: they would be slow as
	// they never are on machines of their own.
	return weigh(roots, cgroupName, 1)
}

// enterOutside puts this process, and all that it starts, into the cgroup of those who have machines of their own in
// earnest: viewers. By default all of a session, a browser with its pages say, weigh as much as the least of the nodes'
// daemons, which take all CPUs when pods start.
func enterOutside() error {
	roots, err := hierarchies()
	if err != nil {
		return err
	}
	for _, root := range roots {
		at := filepath.Join(root, outsideName)
		switch _, err := os.Stat(filepath.Join(root, "cpu.shares")); {
		case root == cgroupRoot:
			if err := delegate(outsideName); err != nil {
				return err
			}
		case errors.Is(err, fs.ErrNotExist):
			continue // another controller's
		default:
			if err := os.Mkdir(at, 0o755); err != nil && !errors.Is(err, fs.ErrExist) {
				return fmt.Errorf("making a cgroup: %w", err)
			}
		}
		if err := os.WriteFile(filepath.Join(at, "cgroup.procs"), []byte(strconv.Itoa(os.Getpid())), 0o644); err != nil {
			return fmt.Errorf("entering a cgroup: %w", err)
		}
	}
	return weigh(roots, outsideName, 2)
}

// delegate makes a cgroup of version 2 with the controllers that a kubelet wants.
func delegate(name string) error {
	at := cgroupRoot
	for _, part := range strings.Split(strings.Trim(name, "/"), "/") {
		if err := os.WriteFile(filepath.Join(at, "cgroup.subtree_control"), []byte("+cpu +cpuset +memory +pids +io"),
			0o644); err != nil {
			return fmt.Errorf("delegating cgroup controllers in %s: %w", at, err)
		}
		at = filepath.Join(at, part)
		if err := os.Mkdir(at, 0o755); err != nil && !errors.Is(err, fs.ErrExist) {
			return fmt.Errorf("making a cgroup: %w", err)
		}
	}
	return nil
}

// weigh returns a cgroup the weight of so many busy threads for each CPU.
func weigh(roots []string, name string, threads int) error {
	threads *= runtime.NumCPU()
	for _, root := range roots {
		for file, value := range map[string]int{"cpu.shares": 1024 * threads, "cpu.weight": min(100*threads, 10_000)} {
			path := filepath.Join(root, name, file)
			if _, err := os.Stat(path); errors.Is(err, fs.ErrNotExist) {
				continue // of the other version of cgroups, or another controller's
			}
			if err := os.WriteFile(path, []byte(strconv.Itoa(value)), 0o644); err != nil {
				return fmt.Errorf("setting %s of a cgroup: %w", file, err)
			}
		}
	}
	return nil
}

// removeCgroup removes a cgroup and all below it. Those of processes that have just been killed are busy for a moment.
func removeCgroup(name string) error {
	roots, err := filepath.Glob(filepath.Join(cgroupRoot, "*"))
	if err != nil {
		return fmt.Errorf("listing cgroups: %w", err)
	}
	// Also in hierarchies where none was made: runc makes its own.
	for _, root := range append(roots, cgroupRoot) {
		var at unix.Statfs_t
		if unix.Statfs(root, &at) != nil || at.Type != unix.CGROUP_SUPER_MAGIC && at.Type != unix.CGROUP2_SUPER_MAGIC {
			continue
		}
		var last error
		for until := time.Now().Add(5 * time.Second); ; time.Sleep(20 * time.Millisecond) {
			if last = removeTree(filepath.Join(root, name)); last == nil || time.Now().After(until) {
				break
			}
		}
		if last != nil {
			return last
		}
	}
	return nil
}

func removeTree(at string) error {
	var folders []string
	err := filepath.WalkDir(at, func(path string, d fs.DirEntry, err error) error {
		if err == nil && d.IsDir() {
			folders = append(folders, path)
		}
		return nil // what went away meanwhile is gone
	})
	if err != nil {
		return fmt.Errorf("listing %s: %w", at, err)
	}
	slices.Reverse(folders)
	for _, folder := range folders {
		if err := unix.Rmdir(folder); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("removing cgroup %s: %w", folder, err)
		}
	}
	return nil
}
