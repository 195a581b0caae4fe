package delivery

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// memoryFile holds the last good Plan below Options.StateDir. It outlives a restart of the container, not the pod.
const memoryFile = "plan.json"

const maxMemory = 32 << 20

// memory is what the file holds: the Plan as it was delivered, and which Plans it replaced, so that a folder which is
// behind is known to be behind.
type memory struct {
	Secrets  Secrets  `json:"secrets"`
	Replaced []string `json:"replaced"`
}

// Recall offers the Plan that held before the process started. Without one it does nothing.
func (r *Receiver) Recall() error {
	if r.opt.StateDir == "" {
		return nil
	}
	path := filepath.Join(r.opt.StateDir, memoryFile)
	info, err := os.Stat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("reading the last good plan: %w", err)
	}
	if info.Size() > maxMemory {
		return fmt.Errorf("reading the last good plan: %s has more than %d bytes", path, maxMemory)
	}
	text, err := os.ReadFile(path)
	if err != nil {
		return fmt.Errorf("reading the last good plan: %w", err)
	}
	var m memory
	if err := json.Unmarshal(text, &m); err != nil {
		return fmt.Errorf("reading the last good plan: %w", err)
	}
	r.mu.Lock()
	r.replaced = m.Replaced[max(len(m.Replaced)-maxReplaced, 0):]
	r.mu.Unlock()
	return r.Offer(Memory, m.Secrets)
}

// save remembers a Plan. That it could not is no reason not to run on it.
func (r *Receiver) save(secrets Secrets) {
	if r.opt.StateDir == "" {
		return
	}
	text, err := json.Marshal(memory{Secrets: secrets, Replaced: r.replaced})
	if err == nil {
		err = writeFile(filepath.Join(r.opt.StateDir, memoryFile), text)
	}
	if err != nil {
		r.opt.Log.Error(err, "The plan could not be remembered; a restart without the API server uses the mounted one")
	}
}

// writeFile replaces a file at once, so that a crash leaves the old one or the new one.
func writeFile(path string, content []byte) error {
	next := path + ".new"
	if err := os.WriteFile(next, content, 0o600); err != nil {
		return fmt.Errorf("writing %s: %w", path, err)
	}
	if err := os.Rename(next, path); err != nil {
		return fmt.Errorf("writing %s: %w", path, err)
	}
	return nil
}
