//go:build linux

package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// saved is what later commands must know of the cluster.
type saved struct {
	Assets string `json:"assets"`
	Nodes  int    `json:"nodes"`
}

func (l layout) save() error {
	body, err := json.Marshal(saved{Assets: l.assets, Nodes: l.count})
	if err != nil {
		return fmt.Errorf("encoding the state: %w", err)
	}
	if err := os.WriteFile(l.path("cluster.json"), body, 0o644); err != nil {
		return fmt.Errorf("writing the state: %w", err)
	}
	return nil
}

// errNone says that there is no cluster.
var errNone = errors.New("there is no cluster; make one: make cluster-up")

// load reads the layout of the cluster that there is.
func open(state string) (layout, error) {
	body, err := os.ReadFile(filepath.Join(state, "cluster.json"))
	if errors.Is(err, fs.ErrNotExist) {
		return layout{}, errNone
	}
	if err != nil {
		return layout{}, fmt.Errorf("reading the state: %w", err)
	}
	var s saved
	if err := json.Unmarshal(body, &s); err != nil {
		return layout{}, fmt.Errorf("reading the state in %s: %w", state, err)
	}
	return layout{state: state, assets: s.Assets, count: s.Nodes}, nil
}

// lock lets one command at a time change the cluster. The file stands beside the state, for the state goes.
func lock(state string) (unlock func(), err error) {
	f, err := os.OpenFile(state+".lock", os.O_CREATE|os.O_RDWR, 0o644)
	if err != nil {
		return nil, fmt.Errorf("opening the lock: %w", err)
	}
	if err := unix.Flock(int(f.Fd()), unix.LOCK_EX); err != nil {
		f.Close()
		return nil, fmt.Errorf("locking %s: %w", f.Name(), err)
	}
	return func() { f.Close() }, nil
}
