//go:build linux

package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
)

// An interpreter is a Python that can install and run the servers.
type interpreter struct {
	Path    string `json:"path"`
	Version string `json:"version"` // "3.11"
	LibDir  string `json:"lib_dir"` // where its libpython is
}

// pythonVersions are those that both wheels serve: vLLM asks for 3.11 and more, and
// Triton's stub for 3.13 for a numpy 2 that its own pybind11 does not understand
// (tensors come out empty).
var pythonVersions = []string{"3.11", "3.12"}

// probeScript fails where pip or venv are missing; some systems package them apart.
const probeScript = `
import json, sys, sysconfig, pip, venv, ensurepip
print(json.dumps({"path": sys.executable, "version": "%d.%d" % sys.version_info[:2], "lib_dir": sysconfig.get_config_var("LIBDIR")}))
`

// findPython returns the interpreter named by path, or the first usable one on the
// PATH or among pyenv's.
func findPython(ctx context.Context, path string) (interpreter, error) {
	if path != "" {
		in, err := probePython(ctx, path)
		if err != nil {
			return in, fmt.Errorf("use python %s: %w", path, err)
		}
		return in, nil
	}
	var candidates []string
	for _, version := range pythonVersions {
		candidates = append(candidates, "python"+version)
		root := os.Getenv("PYENV_ROOT")
		if root == "" {
			root = filepath.Join(os.Getenv("HOME"), ".pyenv")
		}
		found, _ := filepath.Glob(filepath.Join(root, "versions", version+".*", "bin", "python"))
		candidates = append(candidates, found...)
	}
	var errs []error
	for _, candidate := range candidates {
		in, err := probePython(ctx, candidate)
		if err == nil {
			return in, nil
		}
		errs = append(errs, fmt.Errorf("%s: %w", candidate, err))
	}
	return interpreter{}, fmt.Errorf("find a Python %v with pip, venv and libpython: none is usable (%w); install one, for example `apt install python3.11-venv python3-pip libpython3.11` or `pyenv install 3.11`, or name one with -python",
		pythonVersions, errors.Join(errs...))
}

func probePython(ctx context.Context, path string) (interpreter, error) {
	var in interpreter
	out, err := exec.CommandContext(ctx, path, "-c", probeScript).Output()
	if exit := new(exec.ExitError); errors.As(err, &exit) {
		return in, fmt.Errorf("it cannot be used: %s", lastLine(exit.Stderr))
	}
	if err != nil {
		return in, err
	}
	if err := json.Unmarshal(out, &in); err != nil {
		return in, fmt.Errorf("it says %q", out)
	}
	if !slices.Contains(pythonVersions, in.Version) {
		return in, fmt.Errorf("it is %s, needed is one of %v", in.Version, pythonVersions)
	}
	return in, nil
}
