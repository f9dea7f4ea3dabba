//go:build linux

package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"

	"enginebench/internal/wholefile"
)

// A state is what is remembered of a server that was started.
type state struct {
	Name      string   `json:"name"`
	Process   process  `json:"process"`
	Settings  string   `json:"settings"` // command line and variant: what makes two starts the same
	Endpoints []string `json:"endpoints"`
	Label     string   `json:"label"`
	Log       string   `json:"log"`
	Ready     []probe  `json:"ready"`
}

// A stateDir holds a state file and a log for each server that was started.
type stateDir string

func (d stateDir) path(name string) string { return filepath.Join(string(d), name+".json") }
func (d stateDir) log(name string) string  { return filepath.Join(string(d), name+".log") }

// load returns the state of a server, or nil when it was not started.
func (d stateDir) load(name string) (*state, error) {
	data, err := os.ReadFile(d.path(name))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read what was started: %w", err)
	}
	s := new(state)
	if err := json.Unmarshal(data, s); err != nil {
		return nil, fmt.Errorf("read what was started: %s: %w; end the server by hand and remove the file", d.path(name), err)
	}
	return s, nil
}

func (d stateDir) save(s *state) error {
	data, err := json.MarshalIndent(s, "", "\t")
	if err != nil {
		return err
	}
	return wholefile.WriteBytes(d.path(s.Name), append(data, '\n'))
}

func (d stateDir) remove(name string) error { return os.Remove(d.path(name)) }

// lock keeps a second start or stop out until unlock is called. The lock ends with
// the process, so none is left behind.
func (d stateDir) lock() (unlock func(), err error) {
	if err := os.MkdirAll(string(d), 0o755); err != nil {
		return nil, fmt.Errorf("lock %s: %w", d, err)
	}
	f, err := os.OpenFile(filepath.Join(string(d), "lock"), os.O_CREATE|os.O_RDWR, 0o644)
	if err != nil {
		return nil, fmt.Errorf("lock %s: %w", d, err)
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX); err != nil {
		f.Close()
		return nil, fmt.Errorf("lock %s: %w", d, err)
	}
	return func() { f.Close() }, nil
}
