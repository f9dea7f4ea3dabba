package main

import (
	"bytes"
	"context"
	"io"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

// fakeCargo puts a cargo on the PATH that runs script in place of compiling.
func fakeCargo(t *testing.T, script string) {
	t.Helper()
	dir := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(dir, "cargo"), []byte("#!/bin/sh\n"+script+"\n"), 0o755))
	t.Setenv("PATH", dir+string(os.PathListSeparator)+os.Getenv("PATH"))
}

func call(args ...string) (code int, stdout, stderr string) {
	var out, err bytes.Buffer
	code = run(args, nil, &out, &err)
	return code, out.String(), err.String()
}

func TestBuildsOnceThenFindsWhatIsThere(t *testing.T) {
	cache := t.TempDir()
	t.Setenv("ENGINEBENCH_CACHE", cache)
	fakeCargo(t, `test -f Cargo.lock && test -f src/lib.rs && mkdir -p "$CARGO_TARGET_DIR/release" && echo "$@" >"$CARGO_TARGET_DIR/release/libtokenizers.a"`)

	code, stdout, stderr := call("-print-ldflags")
	require.Equal(t, 1, code)
	require.Empty(t, stdout, "an unbuilt library must not become a linker flag")
	require.Contains(t, stderr, "is not built: run `make tokenizers`")

	code, stdout, stderr = call()
	require.Equal(t, 0, code, stderr)
	src, err := findSource(context.Background())
	require.NoError(t, err)
	dir := filepath.Join(cache, "tokenizers", src.Version)
	require.Equal(t, filepath.Join(dir, library)+"\n", stdout)
	args, err := os.ReadFile(filepath.Join(dir, library))
	require.NoError(t, err)
	require.Equal(t, "build --release --locked\n", string(args))
	left, err := filepath.Glob(filepath.Join(cache, "tokenizers", "*"))
	require.NoError(t, err)
	require.Equal(t, []string{dir}, left, "the directory it was built in is gone")

	fakeCargo(t, "exit 1")
	code, stdout, _ = call()
	require.Equal(t, 0, code)
	require.Contains(t, stdout, "(already built)")
	code, stdout, _ = call("-print-ldflags")
	require.Equal(t, 0, code)
	require.Equal(t, "-L"+dir+"\n", stdout)

	// another version or platform than the stamp's is built anew, here by a cargo that fails
	require.NoError(t, os.WriteFile(filepath.Join(dir, "stamp"), []byte("v0"), 0o644))
	code, _, stderr = call()
	require.Equal(t, 2, code)
	require.Contains(t, stderr, "cargo build of github.com/daulet/tokenizers")
}

func TestWithoutCargoSaysHowToGetIt(t *testing.T) {
	empty := t.TempDir()
	t.Setenv("PATH", empty)
	err := build(context.Background(), source{Version: "v1"}, filepath.Join(empty, "v1"), io.Discard)
	require.ErrorContains(t, err, "install Rust")
	require.ErrorContains(t, err, "-tokenize=http://")
}

func TestCacheDir(t *testing.T) {
	for _, c := range []struct{ own, xdg, home, want string }{
		{"/own", "/xdg", "/home", "/own"},
		{"", "/xdg", "/home", "/xdg/enginebench"},
		{"", "", "/home", "/home/.cache/enginebench"},
	} {
		t.Setenv("ENGINEBENCH_CACHE", c.own)
		t.Setenv("XDG_CACHE_HOME", c.xdg)
		t.Setenv("HOME", c.home)
		dir, err := cacheDir()
		require.NoError(t, err)
		require.Equal(t, c.want, dir)
	}
}

func TestStrayArgument(t *testing.T) {
	code, _, stderr := call("now")
	require.Equal(t, 2, code)
	require.Contains(t, stderr, `stray argument "now"`)
}
