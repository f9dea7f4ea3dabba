package main

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
	"github.com/stretchr/testify/require"

	"enginebench/fixtures"
	"enginebench/fixtures/script"
	"enginebench/tools/internal/exits"
)

func TestMain(m *testing.M) { testscript.Main(m, map[string]func(){"slowdown": main}) }

func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir:   filepath.Join("testdata", "script"),
		Setup: func(env *testscript.Env) error { return record(filepath.Join(env.WorkDir, "recordings")) },
		Cmds:  map[string]func(*testscript.TestScript, bool, []string){"exits": exits.Command(), "ttft": ttft},
	})
}

// record writes recordings of two cells of vllm, whose replies begin after 100 ms.
func record(dir string) error {
	for _, slots := range []int{1, 2} {
		rec, err := script.Script{Engine: "vllm", Dialect: "openai.completions", Concurrency: slots, Requests: slots, TTFT: 100 * time.Millisecond}.Recording()
		if err != nil {
			return err
		}
		if _, err := fixtures.Write(dir, rec); err != nil {
			return err
		}
	}
	return nil
}

// ttft DIR CELL TIME holds the first chunk of a cell's first reply, counted
// from its send, against a time.
func ttft(ts *testscript.TestScript, _ bool, args []string) {
	all, err := fixtures.LoadDir(os.DirFS(ts.MkAbs(args[0])))
	ts.Check(err)
	for _, rec := range all {
		if rec.Header.Cell != args[1] {
			continue
		}
		for _, r := range rec.Requests {
			if got := r.Capture.Chunks[0].Arrival - r.Capture.Send; r.Cell == args[1] && got.String() != args[2] {
				ts.Fatalf("the first chunk of %s comes after %v, want %s", args[1], got, args[2])
			}
		}
		return
	}
	ts.Fatalf("%s holds no recording of %s", args[0], args[1])
}

// What usage texts call go tool must be one, here and elsewhere in tools: go run
// turns every exit code into 1.
func TestTheCommandsAreTools(t *testing.T) {
	mod, err := os.ReadFile("../../go.mod")
	require.NoError(t, err)
	for _, name := range []string{"calibrate", "gate", "prompts", "recompute", "report", "servers", "slowdown"} {
		require.Contains(t, string(mod), "\n\tenginebench/tools/"+name+"\n")
	}
}

func TestADirectoryIsTheSameByAnyName(t *testing.T) {
	dir := t.TempDir()
	require.True(t, same(dir, dir+"/."))
	require.False(t, same(dir, t.TempDir()))
	require.False(t, same(dir+"/new", dir))
}
