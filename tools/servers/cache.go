//go:build linux

package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// A cache is the folder, outside of the repo, that holds what is installed and
// what is remembered of running servers:
//
//	vllm-VERSION/      a venv
//	triton-VERSION/    the pytriton wheel, unpacked, with numpy in its backend folder
//	model/             the tiny model: config, tokenizer, no weights
//	run/               state files, logs, model repositories
type cache string

// defaultCache is $ENGINEBENCH_CACHE/servers, else $XDG_CACHE_HOME/enginebench/servers,
// else ~/.cache/enginebench/servers.
func defaultCache() (cache, error) {
	root := os.Getenv("ENGINEBENCH_CACHE")
	if root == "" {
		user, err := os.UserCacheDir()
		if err != nil {
			return "", fmt.Errorf("find the cache folder: %w; set ENGINEBENCH_CACHE", err)
		}
		root = filepath.Join(user, "enginebench")
	}
	root, err := filepath.Abs(root)
	return cache(filepath.Join(root, "servers")), err
}

func (c cache) run() string   { return filepath.Join(string(c), "run") }
func (c cache) model() string { return filepath.Join(string(c), "model") }

// modelFromRun is the model's folder as a server that runs in run() sees it:
// vLLM tells its clients the path, which should say nothing of the machine.
func (c cache) modelFromRun() string { return filepath.Join("..", "model") }

func (c cache) triton() string                { return filepath.Join(string(c), "triton-"+pytritonVersion) }
func (c cache) vllm(version string) string    { return filepath.Join(string(c), "vllm-"+version) }
func (c cache) repository(name string) string { return filepath.Join(c.run(), name+"-models") }
func (c cache) vllmPython(version string) string {
	return filepath.Join(c.vllm(version), "bin", "python")
}

// tritonLibraries is the LD_LIBRARY_PATH of Triton: the wheel's own libraries, and
// libpython for the Python backend's stub.
func (c cache) tritonLibraries() string {
	path := filepath.Join(c.triton(), "nvidia_pytriton.libs")
	if in, err := readInstalled(c.triton()); err == nil {
		path += ":" + in.Python.LibDir
	}
	return path
}

// writeModel writes the tiny model's two small files; its tokenizer comes with install.
func (c cache) writeModel() error {
	for _, name := range []string{"config.json", "tokenizer_config.json"} {
		if err := copyModelFile("models/tiny-llama/"+name, filepath.Join(c.model(), name)); err != nil {
			return err
		}
	}
	return nil
}

// An installed file, written last, says that an installation is whole.
type installed struct {
	Version string      `json:"version"`
	Python  interpreter `json:"python"`
}

func installedPath(dir string) string { return filepath.Join(dir, "enginebench-installed.json") }

func readInstalled(dir string) (installed, error) {
	var in installed
	data, err := os.ReadFile(installedPath(dir))
	if err != nil {
		return in, err
	}
	return in, json.Unmarshal(data, &in)
}

// requireInstalled says what to run when a part that a server needs is missing.
func (c cache) requireInstalled(name string, o options) error {
	var dirs []string
	if name != "vllm" {
		dirs = append(dirs, c.triton())
	}
	args := name
	if name != "light" {
		dirs = append(dirs, c.vllm(o.vllmVersion))
		if o.vllmVersion != vllmVersion {
			args = "-vllm-version=" + o.vllmVersion + " " + name
		}
	}
	for _, dir := range dirs {
		if _, err := readInstalled(dir); errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("start %s: %s is not installed; run `go tool servers install %s`", name, filepath.Base(dir), args)
		} else if err != nil {
			return fmt.Errorf("start %s: read %s: %w; remove the folder and install again", name, installedPath(dir), err)
		}
	}
	return nil
}
