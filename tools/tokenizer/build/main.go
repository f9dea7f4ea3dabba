// Command build makes the C library that the build tag `tokenizers` links: libtokenizers.a, compiled by cargo from
// the source that the Go module github.com/daulet/tokenizers carries, in the version that go.mod names. Nothing is
// downloaded but the module (by go) and the crates of its Cargo.lock (by cargo).
//
//	go run ./tools/tokenizer/build                   # builds once (about 90 s on two cores), then says where it is
//	go run ./tools/tokenizer/build -print-ldflags    # prints -L…, what CGO_LDFLAGS needs; exit 1 where it is not built
//
// To use it:
//
//	CGO_LDFLAGS="$(go run ./tools/tokenizer/build -print-ldflags)" go run -tags=tokenizers ./tools/prompts …
//
// The library lies outside the repository, in
//
//	${ENGINEBENCH_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/enginebench}/tokenizers/VERSION/libtokenizers.a
//
// beside a file `stamp` that says from what it was built: module version, checksum and platform. It is built again
// only when the stamp differs from what go.mod asks for.
//
// Exit codes: 0 it is there, 1 it is not there (-print-ldflags), 2 it could not be built.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"runtime"
	"strings"
)

const (
	module  = "github.com/daulet/tokenizers"
	library = "libtokenizers.a"
)

func main() {
	os.Exit(run(os.Args[1:], os.Stdin, os.Stdout, os.Stderr))
}

func run(args []string, _ io.Reader, stdout, stderr io.Writer) int {
	fs := flag.NewFlagSet("build", flag.ContinueOnError)
	fs.SetOutput(stderr)
	printLDFlags := fs.Bool("print-ldflags", false, "print what CGO_LDFLAGS needs and build nothing; exit 1 where the library is not built")
	fs.Usage = func() {
		fmt.Fprint(stderr, "Builds "+library+" for the build tag `tokenizers`, with cargo, outside the repository.\n\n"+
			"  go run ./tools/tokenizer/build\n"+
			"  CGO_LDFLAGS=\"$(go run ./tools/tokenizer/build -print-ldflags)\" go build -tags=tokenizers ./tools/...\n\n")
		fs.PrintDefaults()
	}
	if err := fs.Parse(args); err != nil {
		if errors.Is(err, flag.ErrHelp) {
			return 0
		}
		return 2
	}
	if fs.NArg() > 0 {
		fmt.Fprintf(stderr, "build: stray argument %q: there are only flags\n", fs.Arg(0))
		return 2
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()

	src, err := findSource(ctx)
	if err != nil {
		fmt.Fprintf(stderr, "build: %v\n", err)
		return 2
	}
	cache, err := cacheDir()
	if err != nil {
		fmt.Fprintf(stderr, "build: %v\n", err)
		return 2
	}
	dir := filepath.Join(cache, "tokenizers", src.Version)
	if isBuilt(dir, src) {
		if *printLDFlags {
			fmt.Fprintf(stdout, "-L%s\n", dir)
		} else {
			fmt.Fprintf(stdout, "%s (already built)\n", filepath.Join(dir, library))
		}
		return 0
	}
	if *printLDFlags {
		fmt.Fprintf(stderr, "build: %s %s is not built: run `make tokenizers`\n", library, src.Version)
		return 1
	}
	if err := build(ctx, src, dir, stderr); err != nil {
		fmt.Fprintf(stderr, "build: %v\n", err)
		return 2
	}
	fmt.Fprintln(stdout, filepath.Join(dir, library))
	return 0
}

// source is the module as `go list -m -json` or `go mod download -json` describe it.
type source struct {
	Version, Dir, Sum string
	Replace           *source
}

// stamp says from what a library was built.
func (s source) stamp() string {
	return fmt.Sprintf("%s %s %s %s/%s\n", module, s.Version, s.Sum, runtime.GOOS, runtime.GOARCH)
}

// findSource asks go for the module's version and directory, and has it downloaded where it is not yet.
func findSource(ctx context.Context) (source, error) {
	s, err := goJSON(ctx, "list", "-m", "-json", module)
	if err == nil && s.Replace != nil {
		s = *s.Replace
	}
	if err == nil && s.Dir == "" {
		s, err = goJSON(ctx, "mod", "download", "-json", module)
	}
	if err != nil {
		return source{}, err
	}
	if s.Version == "" {
		s.Version = "replaced"
	}
	return s, nil
}

func goJSON(ctx context.Context, args ...string) (source, error) {
	cmd := exec.CommandContext(ctx, "go", args...)
	var said strings.Builder
	cmd.Stderr = &said
	out, err := cmd.Output()
	if err != nil {
		return source{}, fmt.Errorf("go %s: %w: %s", strings.Join(args, " "), err, strings.TrimSpace(said.String()))
	}
	var s source
	if err := json.Unmarshal(out, &s); err != nil {
		return source{}, fmt.Errorf("go %s: read its answer: %w", strings.Join(args, " "), err)
	}
	return s, nil
}

// cacheDir is where what is built and not tracked lies: see the package comment.
func cacheDir() (string, error) {
	if dir := os.Getenv("ENGINEBENCH_CACHE"); dir != "" {
		return filepath.Abs(dir)
	}
	dir := os.Getenv("XDG_CACHE_HOME")
	if dir == "" {
		home, err := os.UserHomeDir()
		if err != nil {
			return "", fmt.Errorf("find a cache directory: %w: set ENGINEBENCH_CACHE", err)
		}
		dir = filepath.Join(home, ".cache")
	}
	return filepath.Join(dir, "enginebench"), nil
}

// isBuilt reports whether dir holds the library of exactly this source. The stamp is written first into a directory
// that is renamed whole, so a half-built one never looks built.
func isBuilt(dir string, src source) bool {
	stamp, err := os.ReadFile(filepath.Join(dir, "stamp"))
	if err != nil || string(stamp) != src.stamp() {
		return false
	}
	_, err = os.Stat(filepath.Join(dir, library))
	return err == nil
}

// build compiles a copy of the source (the module cache is read-only, and cargo writes beside what it builds) and
// puts the library into dir.
func build(ctx context.Context, src source, dir string, log io.Writer) error {
	cargo, err := exec.LookPath("cargo")
	if err != nil {
		return errors.New("cargo is not on the PATH: install Rust (https://rustup.rs, or the packages cargo and rustc " +
			"of your system, 1.80 or later) and run this again; or do without: `go tool prompts -tokenize=http://…` asks an engine")
	}
	parent := filepath.Dir(dir)
	if err := os.MkdirAll(parent, 0o755); err != nil {
		return fmt.Errorf("make the cache directory: %w", err)
	}
	work, err := os.MkdirTemp(parent, "building-")
	if err != nil {
		return fmt.Errorf("make a directory to build in: %w", err)
	}
	defer os.RemoveAll(work)
	code, done := filepath.Join(work, "source"), filepath.Join(work, "done")
	// only what cargo reads: the module's test data is 30 MB of tokenizers
	for _, name := range []string{"Cargo.toml", "Cargo.lock", "src", "benches"} {
		if err := copyTree(filepath.Join(src.Dir, name), filepath.Join(code, name)); err != nil {
			return fmt.Errorf("copy the source of %s %s: %w", module, src.Version, err)
		}
	}
	fmt.Fprintf(log, "build: cargo build --release --locked of %s %s\n", module, src.Version)
	cmd := exec.CommandContext(ctx, cargo, "build", "--release", "--locked")
	cmd.Dir = code
	cmd.Env = append(os.Environ(), "CARGO_TARGET_DIR="+filepath.Join(work, "target"))
	cmd.Stdout, cmd.Stderr = log, log
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("cargo build of %s %s: %w (its own words are above; it needs a C compiler, and the crates' registry the first time)", module, src.Version, err)
	}
	if err := os.Mkdir(done, 0o755); err != nil {
		return err
	}
	if err := os.Rename(filepath.Join(work, "target", "release", library), filepath.Join(done, library)); err != nil {
		return fmt.Errorf("find what cargo built: %w", err)
	}
	if err := os.WriteFile(filepath.Join(done, "stamp"), []byte(src.stamp()), 0o644); err != nil {
		return err
	}
	if err := os.RemoveAll(dir); err != nil {
		return fmt.Errorf("remove the older library: %w", err)
	}
	if err := os.Rename(done, dir); err != nil && !isBuilt(dir, src) { // another build of the same may have been first
		return fmt.Errorf("put the library in place: %w", err)
	}
	return nil
}

// copyTree copies a file or a directory, writable, whatever the modes of the original.
func copyTree(from, to string) error {
	return filepath.WalkDir(from, func(path string, d os.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(from, path)
		if err != nil {
			return err
		}
		target := filepath.Join(to, rel)
		if d.IsDir() {
			return os.MkdirAll(target, 0o755)
		}
		if err := os.MkdirAll(filepath.Dir(target), 0o755); err != nil {
			return err
		}
		data, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		return os.WriteFile(target, data, 0o644)
	})
}
