package main

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"
	"github.com/stretchr/testify/require"

	"enginebench/fixtures/replay"
	"enginebench/tools/internal/exits"
	"enginebench/workload/truth"
)

func TestMain(m *testing.M) {
	replay.MaybeServe()
	testscript.Main(m, map[string]func(){"calibrate": func() {
		loads = light
		main()
	}})
}

// light is a sweep that takes no time. Its step is long enough for 5 % of it
// to be more than a busy machine is late.
var light = map[truth.Protocol][]load{truth.HTTP: {{2, 200 * ms}}, truth.GRPC: {{2, 200 * ms}}}

func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir: filepath.Join("testdata", "script"),
		Setup: func(env *testscript.Env) error {
			env.Setenv("ENGINEBENCH_CACHE", filepath.Join(env.WorkDir, "cache"))
			return nil
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){"exits": exits.Command()},
	})
}

// A step of a nanosecond is one that no client keeps.
func TestASweepThatNeverHeldKeepsNothing(t *testing.T) {
	old := loads
	t.Cleanup(func() { loads = old })
	loads = map[truth.Protocol][]load{truth.HTTP: {{2, 1}, {2, 1000 * ms}}}
	t.Setenv("ENGINEBENCH_CACHE", t.TempDir())
	var out, errs bytes.Buffer
	require.Equal(t, 2, run(context.Background(), []string{"-protocol=http", "-steps=2"}, &out, &errs))
	require.Contains(t, errs.String(), "calibrate: http: no load held")
	require.NotContains(t, out.String(), "\n      2    1s", "beyond the first that did not hold")
	path, err := truth.CalibrationFile()
	require.NoError(t, err)
	_, err = os.Stat(path)
	require.ErrorIs(t, err, os.ErrNotExist)
}

// 2048 streams at a step of 15 ms ask for 136,533 chunks/s. A server that is
// late by more than a step writes fewer, and what the client could take beyond
// them nobody knows.
func TestAServerAtItsLimitIsNotTheClientsKnee(t *testing.T) {
	for name, test := range map[string]struct {
		last truth.Point
		want string
	}{
		"keeps up":                {truth.Point{Rate: 104264, Late: 15 * ms, Holds: true}, "knee of http: 104264 chunks/s, found "},
		"falls behind":            {truth.Point{Rate: 104264, Late: 16 * ms, Holds: true}, "knee of http: at least 104264 chunks/s (the server could write no faster), found "},
		"falls behind and slower": {truth.Point{Rate: 90000, Late: 16 * ms, Holds: true}, "knee of http: at least 90788 chunks/s"},
		"late chunks in one read": {truth.Point{Rate: 90000, Late: 16 * ms}, "knee of http: at least 90788 chunks/s"},
		"late, yet too fast":      {truth.Point{Rate: 110000, Late: 16 * ms}, "knee of http: 90788 chunks/s"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Setenv("ENGINEBENCH_CACHE", t.TempDir())
			sweep := truth.Sweep{Cores: runtime.GOMAXPROCS(0), Knee: 90788}
			test.last.Streams, test.last.Step = 2048, 15*ms
			if test.last.Holds {
				sweep.Knee = max(sweep.Knee, test.last.Rate)
			}
			sweep.Points = []truth.Point{{Streams: 2048, Step: 20 * ms, Rate: 90788, Late: ms, Holds: true}, test.last}
			c := truth.Calibration{Sweeps: map[truth.Protocol]truth.Sweep{truth.HTTP: sweep}}
			_, err := c.Save()
			require.NoError(t, err)
			var out, errs bytes.Buffer
			require.Zero(t, run(context.Background(), []string{"-print", "-protocol=http"}, &out, &errs), errs.String())
			require.Contains(t, out.String(), test.want)
		})
	}
}

func TestAnInterruptIsAnErrorOnOneLine(t *testing.T) {
	ctx, cancel := context.WithCancelCause(context.Background())
	cancel(errors.New("interrupted"))
	t.Setenv("ENGINEBENCH_CACHE", t.TempDir())
	var out, errs bytes.Buffer
	require.Equal(t, 2, run(ctx, []string{"-steps=2"}, &out, &errs))
	require.Regexp(t, `^calibrate: measure 64 streams of http at a step of 20ms: .*interrupted\n$`, errs.String())
}
